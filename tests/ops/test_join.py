import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import arrays, shapes


@given(shape=shapes(min_dims=1, min_side=0), data=st.data())
def test_cat_and_stack(shape, data):
    parts = [data.draw(arrays(shape)) for _ in range(3)]
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    tensors = [nb.Tensor(part) for part in parts]
    np.testing.assert_array_equal(nb.stack(tensors, dim).array, np.stack(parts, dim))
    if shape != (0,):
        np.testing.assert_array_equal(nb.cat(tensors, dim).array, np.concatenate(parts, dim))
        assert check_vjp(lambda *a: nb.cat(a, dim), *parts)
    assert check_vjp(lambda *a: nb.stack(a, dim), *parts)


def test_joining_what_does_not_fit():
    assert nb.cat([nb.tensor([]), nb.ones(2, 3)]).shape == (2, 3)
    assert nb.concat((nb.ones(1), nb.zeros(1))).tolist() == [1, 0]
    with pytest.raises(ShapeError, match="must match except in dimension 0"):
        nb.cat([nb.ones(2, 3), nb.ones(2, 4)])
    with pytest.raises(ShapeError, match="non-empty"):
        nb.cat([])
    with pytest.raises(ShapeError, match="zero-dimensional"):
        nb.cat([nb.tensor(1.0)])
    with pytest.raises(ShapeError, match="equal size"):
        nb.stack([nb.ones(1), nb.ones(2)])
    with pytest.raises(ShapeError, match="non-empty"):
        nb.stack([])


@given(x=arrays((5, 4)))
def test_pieces(x):
    t = nb.Tensor(x)
    assert [p.shape[0] for p in t.split(2)] == [2, 2, 1]
    assert [p.shape[1] for p in t.split([1, 3], 1)] == [1, 3]
    assert [p.shape[0] for p in t.chunk(3)] == [2, 2, 1]
    assert len(t.unbind(1)) == 4
    assert check_vjp(lambda a: a.split(2), x)
    assert check_vjp(lambda a: a.split([1, 3], 1)[1], x)
    assert check_vjp(lambda a: a.unbind()[2], x)


def test_wrong_pieces():
    with pytest.raises(ShapeError, match="sum exactly to 5"):
        nb.zeros(5).split([2, 2])
    with pytest.raises(ShapeError, match="positive"):
        nb.zeros(5).split(0)
    assert [p.shape for p in nb.zeros(0).split(2)] == [(0,)]
    assert nb.zeros(0, 2).unbind() == ()
