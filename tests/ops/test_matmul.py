import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import SEEDS, values

SHAPES = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 4)),
    ((2, 0), (0, 4)),
    ((0, 3), (3, 4)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@given(seed=SEEDS)
def test_forward_and_vjp(a, b, seed):
    x, y = values(a, seed), values(b, seed + 1)
    np.testing.assert_allclose((nb.Tensor(x) @ nb.Tensor(y)).array, x @ y, atol=1e-12)
    assert check_vjp(nb.matmul, x, y)


def test_transposed_operands():
    x, y = values((3, 2), 0), values((4, 3), 1)
    assert check_vjp(lambda a, b: a.T @ b.T, x, y)
    assert check_vjp(nb.matmul, x.T, y.T)


def test_relatives():
    x, y = nb.ones(2, 3), nb.ones(3, 4)
    assert nb.mm(x, y).shape == (2, 4)
    assert nb.mv(x, nb.ones(3)).tolist() == [3, 3]
    assert nb.dot(nb.ones(3), nb.ones(3)).item() == 3
    assert nb.bmm(nb.ones(2, 2, 3), nb.ones(2, 3, 1)).shape == (2, 2, 1)
    assert (np.ones((1, 2), np.float32) @ x).shape == (1, 3)


def test_what_does_not_fit():
    with pytest.raises(
        ShapeError, match=r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"
    ):
        nb.ones(2, 3) @ nb.ones(4, 5)
    with pytest.raises(DtypeError, match="same dtype"):
        nb.ones(2, 3) @ nb.ones(3, 2, dtype=nb.float64)
    with pytest.raises(ShapeError, match="at least 1D"):
        nb.ones(2) @ nb.tensor(1.0)
    with pytest.raises(ShapeError, match="leading dimensions"):
        nb.ones(2, 2, 3) @ nb.ones(5, 3, 2)
    with pytest.raises(ShapeError, match="mm: expected a 2D"):
        nb.mm(nb.ones(2), nb.ones(2))
    with pytest.raises(ShapeError, match="batches of 2 and 3"):
        nb.bmm(nb.ones(2, 1, 1), nb.ones(3, 1, 1))
