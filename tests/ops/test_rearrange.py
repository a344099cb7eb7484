import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError

X = np.arange(6.0).reshape(2, 3)
T = nb.Tensor(X)


def test_turned():
    assert not np.shares_memory(T.flip(0).array, X)
    np.testing.assert_array_equal(T.flip(0, 1).array, X[::-1, ::-1])
    np.testing.assert_array_equal(T.flip([1]).array, X[:, ::-1])
    np.testing.assert_array_equal(nb.fliplr(T).array, np.fliplr(X))
    np.testing.assert_array_equal(nb.flipud(T).array, np.flipud(X))
    for k in range(-1, 5):
        np.testing.assert_array_equal(nb.rot90(T, k).array, np.rot90(X, k))
    cube = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(
        nb.rot90(nb.Tensor(cube), 3, (2, 0)).array, np.rot90(cube, 3, (2, 0))
    )


def test_rolled():
    np.testing.assert_array_equal(T.roll(4).array, np.roll(X, 4))
    np.testing.assert_array_equal(T.roll((1, -1), (0, 1)).array, np.roll(X, (1, -1), (0, 1)))
    with pytest.raises(ShapeError, match="must align"):
        T.roll((1, 2), 0)


def test_repeated():
    np.testing.assert_array_equal(T.repeat(2, 1, 3).array, np.tile(X, (2, 1, 3)))
    np.testing.assert_array_equal(T.tile(2).array, np.tile(X, 2))
    np.testing.assert_array_equal(nb.tile(T, (2, 2, 2)).array, np.tile(X, (2, 2, 2)))
    np.testing.assert_array_equal(T.repeat_interleave(2).array, np.repeat(X, 2))
    np.testing.assert_array_equal(
        T.repeat_interleave(nb.tensor([2, 0, 1]), 1).array, np.repeat(X, [2, 0, 1], 1)
    )
    with pytest.raises(ShapeError, match="can not be smaller"):
        T.repeat(2)


@pytest.mark.parametrize("k", [-2, -1, 0, 1, 5])
def test_triangles_and_diagonals(k):
    np.testing.assert_array_equal(T.tril(k).array, np.tril(X, k))
    np.testing.assert_array_equal(T.triu(k).array, np.triu(X, k))
    np.testing.assert_array_equal(T.diagonal(k).array, np.diagonal(X, k))
    np.testing.assert_array_equal(T.diag(k).array, np.diag(X, k))
    np.testing.assert_array_equal(nb.diag(T[0], k).array, np.diag(X[0], k))


def test_matrices_of_diagonals():
    y = nb.diag_embed(T, -1, 0, 2)
    assert y.shape == (4, 2, 4)
    np.testing.assert_array_equal(y.diagonal(-1, 0, 2).array, X)
    assert np.count_nonzero(y.array) == 5
    assert nb.trace(T).item() == 4


def test_mistakes():
    with pytest.raises(ShapeError, match="at least 2"):
        nb.tril(T[0])
    with pytest.raises(ShapeError, match="identical"):
        T.diagonal(0, 1, -1)
    with pytest.raises(ShapeError, match="1D or 2D"):
        nb.diag(nb.zeros(1, 1, 1))
    with pytest.raises(ShapeError, match="expected a matrix"):
        nb.trace(T[0])
