import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import arrays


@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 4, 3), (0, 3)])
@given(w=arrays((5, 3)), b=arrays((5,)))
def test_forward_and_vjp(shape, w, b):
    x = np.random.default_rng(0).standard_normal(shape)
    y = F.linear(nb.Tensor(x), nb.Tensor(w), nb.Tensor(b))
    np.testing.assert_allclose(y.array, x @ w.T + b, atol=1e-12)
    assert check_vjp(F.linear, x, w, b)
    assert check_vjp(F.linear, x, w)


def test_cotangents_with_gaps():
    assert check_vjp(
        lambda x, w, b: F.linear(x, w, b).T, np.ones((2, 3)), np.ones((4, 3)), np.ones(4)
    )


def test_what_does_not_fit():
    with pytest.raises(ShapeError, match="cannot be multiplied"):
        F.linear(nb.ones(2, 3), nb.ones(5, 4))
    with pytest.raises(ShapeError, match="bias"):
        F.linear(nb.ones(2, 3), nb.ones(5, 3), nb.ones(3))
    with pytest.raises(DtypeError, match="same dtype"):
        F.linear(nb.ones(2, 3, dtype=nb.float64), nb.ones(5, 3))
