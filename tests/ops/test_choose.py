import numpy as np
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from tests.arrays import arrays


@given(x=arrays(gap=0.2))
def test_clamp(x):
    np.testing.assert_array_equal(nb.Tensor(x).clamp(-0.1, 0.1).array, np.clip(x, -0.1, 0.1))
    assert check_vjp(nb.clamp, x, min=-0.1, max=1.05)
    assert check_vjp(nb.clamp, x, max=0.1)
    assert check_vjp(nb.clamp, x, min=-0.1)


@given(x=arrays((2, 3)))
def test_where(x):
    mask = x > 0
    y = x[:1] * 2.0
    np.testing.assert_array_equal(
        nb.where(nb.Tensor(mask), nb.Tensor(x), nb.Tensor(y)).array, np.where(mask, x, y)
    )
    assert check_vjp(lambda a, b: nb.where(nb.Tensor(mask), a, b), x, y)
    assert check_vjp(lambda a: nb.where(nb.Tensor(mask), a, 1.0), x)
    assert nb.where(nb.tensor([True]), nb.ones(1), 0.5).dtype == np.float32
    assert nb.where(nb.tensor([True]), 1.0, 0.5).tolist() == [1.0]
