import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from tests.arrays import pairs


@pytest.mark.parametrize(("op", "reference"), [(nb.maximum, np.maximum), (nb.minimum, np.minimum)])
@given(operands=pairs(gap=0.5))
def test_forward_and_vjp(op, reference, operands):
    x, y = operands
    np.testing.assert_array_equal(op(nb.Tensor(x), nb.Tensor(y)).array, reference(x, y))
    assert check_vjp(op, x, y)
    assert check_vjp(lambda a: op(a, 0.1), x)


def test_equal_operands_share_the_gradient():
    x, y = nb.ones(1, requires_grad=True), nb.ones(1, requires_grad=True)
    nb.maximum(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (0.5, 0.5)
