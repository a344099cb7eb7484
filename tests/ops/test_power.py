import numpy as np
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from tests.arrays import arrays


@given(x=arrays((2, 3), low=0.2))
def test_powers(x):
    assert check_vjp(lambda a: a**2, x)
    assert check_vjp(lambda a: a**0.5, np.abs(x) + 0.5)
    assert check_vjp(lambda a: a**-1.5, np.abs(x) + 0.5)
    assert check_vjp(lambda a, b: a**b, np.abs(x) + 0.5, x)
    assert check_vjp(lambda b: 2.0**b, x)
    np.testing.assert_allclose((nb.Tensor(x) ** 3).array, x**3)


def test_powers_at_zero():
    x = nb.zeros(1, requires_grad=True)
    (x**0).backward()
    assert x.grad.item() == 0.0
    y = nb.tensor([2.0], requires_grad=True)
    (nb.zeros(1) ** y).backward()
    assert y.grad.item() == 0.0
