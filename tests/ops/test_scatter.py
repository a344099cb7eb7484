import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError
from tests.arrays import values

X = values((3, 4), 0)
T = nb.Tensor(X)
INDEX = np.array([[2, 0, 1, 1], [0, 1, 2, 2]])
SRC = values((2, 4), 1)


def test_scatter():
    expected = X.copy()
    np.put_along_axis(expected, INDEX, SRC, 0)
    found = T.scatter(0, nb.Tensor(INDEX), nb.Tensor(SRC))
    np.testing.assert_array_equal(found.array, expected)
    assert not np.shares_memory(found.array, X)
    wide = nb.Tensor(values((3, 5), 2))
    np.testing.assert_array_equal(
        T.scatter(0, nb.Tensor(INDEX[:, :2]), wide).array,
        T.scatter(0, nb.Tensor(INDEX[:, :2]), wide[:2, :2]).array,
    )
    assert T.scatter(-1, nb.tensor([[0], [0], [0]]), value=7.0)[:, 0].tolist() == [7, 7, 7]


def test_what_is_named_twice_is_added():
    expected = X.copy()
    np.add.at(expected, (np.zeros((2, 4), int), np.arange(4)), SRC)
    found = T.scatter_add(0, nb.Tensor(np.zeros((2, 4), int)), nb.Tensor(SRC))
    np.testing.assert_allclose(found.array, expected)
    rows = nb.tensor([1, 1])
    found = T.index_add(0, rows, nb.Tensor(SRC), alpha=2)
    np.testing.assert_allclose(found[1].array, X[1] + 2 * SRC.sum(0))
    found = nb.index_put(T, (rows,), nb.Tensor(SRC), accumulate=True)
    np.testing.assert_allclose(found[1].array, X[1] + SRC.sum(0))


def test_slices():
    rows = nb.tensor([2, 0])
    np.testing.assert_array_equal(T.index_copy(0, rows, nb.Tensor(SRC))[2].array, SRC[0])
    assert T.index_fill(1, nb.tensor([3]), 5.0)[:, 3].tolist() == [5, 5, 5]
    np.testing.assert_array_equal(T.index_put((rows,), nb.Tensor(SRC))[0].array, SRC[1])


def test_masks():
    mask = X > 0
    expected = X.copy()
    expected[mask] = np.arange(mask.sum())
    np.testing.assert_array_equal(
        T.masked_scatter(nb.Tensor(mask), nb.arange(12.0)).array, expected
    )
    with pytest.raises(ShapeError, match="number of elements of source is 1"):
        T.masked_scatter(nb.Tensor(X == X), nb.ones(1))


def test_mistakes():
    with pytest.raises(ShapeError, match="same number of dimensions"):
        T.scatter(0, nb.tensor([1]), 1.0)
    with pytest.raises(ShapeError, match="same number of dimensions"):
        T.scatter(0, nb.Tensor(INDEX), nb.ones(2))
    with pytest.raises(ShapeError, match="no larger than src"):
        T.scatter_add(0, nb.Tensor(INDEX), nb.ones(1, 4))
    with pytest.raises(IndexError):
        T.scatter(0, nb.Tensor(INDEX + 1), 1.0)
