import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError

A = np.arange(24.0).reshape(2, 3, 4)
X = nb.Tensor(A)


def same(x, expected):
    np.testing.assert_array_equal(x.array, expected)


def test_views_of_parts():
    same(X.narrow(1, 1, 2), A[:, 1:3])
    same(nb.narrow(X, -1, -2, 2), A[..., -2:])
    same(X.select(1, -1), A[:, -1])
    part = X.narrow(0, 1, 1)
    assert np.shares_memory(part.array, X.array)
    for call in (lambda: X.narrow(1, 2, 2), lambda: X.narrow(1, -4, 1)):
        with pytest.raises(ShapeError, match="exceeds dimension size"):
            call()
    with pytest.raises(IndexError, match="out of range"):
        X.select(0, 2)


def test_dimensions_in_other_places():
    same(X.movedim(0, 2), np.moveaxis(A, 0, 2))
    same(nb.movedim(X, (0, 1), (-1, 0)), np.moveaxis(A, (0, 1), (-1, 0)))
    same(X.swapaxes(0, 2), A.swapaxes(0, 2))
    same(X.unflatten(2, (2, -1)), A.reshape(2, 3, 2, 2))
    same(X.ravel(), A.ravel())
    with pytest.raises(ShapeError, match="Invalid source"):
        X.movedim((0, 0), (1, 2))
    with pytest.raises(ShapeError, match="multiply up"):
        X.unflatten(2, (3, 2))


def test_repeated():
    same(nb.broadcast_to(X[:, :1], (5, 2, 3, 4)), np.broadcast_to(A[:, :1], (5, 2, 3, 4)))
    a, b = nb.broadcast_tensors(X, X[0, :, :1])
    same(b, np.broadcast_to(A[0, :, :1], A.shape))
    assert a.shape == b.shape
    with pytest.raises(ShapeError, match="can't be broadcast"):
        nb.broadcast_tensors(nb.ones(2), nb.ones(3))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_stacks(shape):
    a, b = np.ones(shape), np.zeros(shape)
    for name in ("hstack", "vstack", "dstack"):
        same(getattr(nb, name)([nb.Tensor(a), nb.Tensor(b)]), getattr(np, name)([a, b]))


@pytest.mark.parametrize("cut", [1, 3, 5, [1, 3], [-1], [2, 1], [9]])
def test_tensor_split(cut):
    parts = nb.tensor_split(X, cut, 2)
    expected = np.array_split(A, cut, 2) if isinstance(cut, int) else np.split(A, cut, 2)
    assert len(parts) == len(expected)
    for part, other in zip(parts, expected):
        same(part, other)
    with pytest.raises(ShapeError, match="larger than 0"):
        X.tensor_split(0)


@pytest.mark.parametrize("indexing", ["ij", "xy"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_meshgrid(indexing, n):
    vectors = [np.arange(k + 2.0) for k in range(n)]
    found = nb.meshgrid(*[nb.Tensor(v) for v in vectors], indexing=indexing)
    for grid, expected in zip(found, np.meshgrid(*vectors, indexing=indexing)):
        same(grid, expected)
    assert nb.meshgrid([nb.tensor(1.0), nb.ones(2)])[0].shape == (1, 2)
    with pytest.raises(ShapeError, match="0D or 1D"):
        nb.meshgrid(X)
    with pytest.raises(ValueError, match="indexing"):
        nb.meshgrid(nb.ones(2), indexing="ji")
