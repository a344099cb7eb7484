import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from tests.arrays import arrays

INDICES = [
    0,
    -1,
    slice(1, 3),
    slice(None, None, -2),
    (slice(None), 1),
    (0, 2),
    (..., None, 1),
    None,
    [0, 0, 2],
    np.array([[1, 0], [1, 1]]),
    (np.array([0, 2]), np.array([1, 1])),
    (slice(None), [True, False, True, False]),
    np.random.default_rng(0).random((3, 4)) > 0.5,
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
@given(x=arrays((3, 4)))
def test_getitem(index, x):
    y = nb.Tensor(x)[index]
    np.testing.assert_array_equal(y.array, x[index])
    assert type(y.array) is np.ndarray
    assert check_vjp(lambda a: a[index], x)


def test_basic_indices_are_views_and_tensors_are_indices():
    x = nb.arange(6).reshape(2, 3)
    assert np.shares_memory(x[1].array, x.array)
    assert x[nb.tensor(1)].tolist() == [3, 4, 5]
    assert x[nb.tensor([1, 0]), nb.tensor([0, 2])].tolist() == [3, 2]
    assert x[x > 3].tolist() == [4, 5]
    assert x[[nb.tensor(0), nb.tensor(1)]].shape == (2, 3)
    assert np.shares_memory(x[:, nb.tensor(1)].array, x.array)


def test_out_of_range():
    with pytest.raises(IndexError):
        nb.zeros(2)[2]
    with pytest.raises(IndexError, match="0-dim"):
        nb.tensor(1.0)[0]


@given(x=arrays((3, 4)))
def test_gather_and_select(x):
    index = np.array([[0, 0], [3, 1], [2, 2]])
    np.testing.assert_array_equal(
        nb.Tensor(x).gather(1, nb.Tensor(index)).array, np.take_along_axis(x, index, 1)
    )
    assert check_vjp(lambda a: a.gather(1, nb.Tensor(index)), x)
    rows = np.array([2, 0, 2])
    np.testing.assert_array_equal(nb.index_select(nb.Tensor(x), 0, nb.Tensor(rows)).array, x[rows])
    assert check_vjp(lambda a: a.index_select(1, nb.Tensor(rows)), x)


@given(x=arrays((3, 4)))
def test_masks(x):
    mask = nb.Tensor(x > 0)
    np.testing.assert_array_equal(
        nb.Tensor(x).masked_fill(mask, 9.0).array, np.where(x > 0, 9.0, x)
    )
    assert check_vjp(lambda a: a.masked_fill(mask, 9.0), x)
    assert check_vjp(lambda a: a.masked_select(mask), x)
