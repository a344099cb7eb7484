import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbgrad as nb
from nbgrad.errors import ShapeError
from tests.arrays import arrays, shapes


def ties(x):
    return np.round(x)


@given(x=arrays(shapes(min_dims=1, min_side=0)), axis=st.sampled_from([0, -1]))
def test_sort_and_argsort(x, axis):
    x = ties(x)
    values, places = nb.sort(nb.Tensor(x), axis)
    np.testing.assert_array_equal(values.array, np.sort(x, axis))
    np.testing.assert_array_equal(places.array, np.argsort(x, axis, kind="stable"))
    falling = nb.argsort(nb.Tensor(x), axis, descending=True)
    np.testing.assert_array_equal(falling.array, np.argsort(-x, axis, kind="stable"))


def test_nan_is_the_largest_and_bytes_fall():
    x = nb.tensor([2.0, np.nan, 1.0])
    assert nb.argsort(x).tolist() == [2, 0, 1]
    assert nb.argsort(x, descending=True).tolist() == [1, 0, 2]
    assert nb.sort(nb.tensor([0, 200, 7], dtype=nb.uint8), descending=True)[0].tolist() == [200, 7, 0]  # fmt: skip
    assert nb.sort(nb.tensor(5.0)).indices.item() == 0


@given(x=arrays((3, 5)), k=st.integers(0, 5), axis=st.sampled_from([0, 1]), largest=st.booleans())
def test_topk(x, k, axis, largest):
    k = min(k, x.shape[axis])
    values, places = nb.topk(nb.Tensor(x), k, axis, largest)
    order = np.argsort(-x if largest else x, axis).take(range(k), axis)
    np.testing.assert_array_equal(places.array, order)
    np.testing.assert_array_equal(values.array, np.take_along_axis(x, order, axis))
    some = nb.topk(nb.Tensor(x), k, axis, largest, sorted=False)
    if 0 < k < x.shape[axis]:
        np.testing.assert_array_equal(some.indices.array, np.sort(order, axis))


@given(x=arrays(shapes(min_dims=1)), k=st.integers(1, 4))
def test_kthvalue_and_median(x, k):
    n = x.shape[0]
    k = min(k, n)
    np.testing.assert_array_equal(nb.Tensor(x).kthvalue(k, 0).values.array, np.sort(x, 0)[k - 1])
    values, places = nb.Tensor(x).median(0, True)
    np.testing.assert_array_equal(values.array[0], np.sort(x, 0)[(n - 1) // 2])
    np.testing.assert_array_equal(values.array, np.take_along_axis(x, places.array, 0))
    assert nb.median(nb.Tensor(x)).item() == np.sort(x, None)[(x.size - 1) // 2]


def test_median_of_nan_and_of_one():
    values, places = nb.tensor([[1.0, np.nan, 0.0], [3.0, 1.0, 2.0]]).median(1)
    assert np.isnan(values.array[0])
    assert (places.tolist(), values.array[1]) == ([1, 2], 2.0)
    assert nb.tensor(3.0).median(0).values.item() == nb.tensor(3.0).kthvalue(1).values.item() == 3


@given(x=arrays((2, 3)))
def test_take_along_dim(x):
    places = np.argsort(x, 1)
    np.testing.assert_array_equal(
        nb.take_along_dim(nb.Tensor(x), nb.Tensor(places), 1).array, np.sort(x, 1)
    )
    assert nb.take_along_dim(nb.Tensor(x), nb.tensor([[5]])).tolist() == [x.ravel()[5]]


def test_mistakes():
    x = nb.ones(3)
    for call in (lambda: x.topk(4), lambda: x.kthvalue(0), lambda: nb.zeros(0).median()):
        with pytest.raises(ShapeError, match="out of range|non-zero"):
            call()
    with pytest.raises(ShapeError, match="number of dimensions"):
        nb.take_along_dim(nb.ones(2, 2), nb.tensor([0]), 0)
