import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import arrays, shapes


@given(x=arrays((2, 3, 4)))
def test_reshape_and_flatten(x):
    t = nb.Tensor(x)
    np.testing.assert_array_equal(t.reshape(6, -1).data, x.reshape(6, 4))
    np.testing.assert_array_equal(t.view((4, 6)).data, x.reshape(4, 6))
    assert t.flatten(1).shape == (2, 12)
    assert t.flatten(0, 1).shape == (6, 4)
    assert nb.tensor(1.0).flatten().shape == (1,)
    assert t.view_as(nb.zeros(24)).shape == (24,)
    assert check_vjp(lambda a: a.reshape(4, 6), x)
    assert check_vjp(nb.flatten, x)


def test_reshape_shares_memory_where_it_can():
    x = nb.zeros(4)
    assert np.shares_memory(x.view(2, 2).data, x.data)
    with pytest.raises(ShapeError, match=r"shape '\[3, 2\]' is invalid for input of size 4"):
        x.view(3, 2)
    with pytest.raises(ShapeError, match="after"):
        nb.zeros(2, 2).flatten(1, 0)


@given(x=arrays((2, 3, 4)))
def test_orders_of_dimensions(x):
    t = nb.Tensor(x)
    np.testing.assert_array_equal(t.transpose(0, 2).data, x.transpose(2, 1, 0))
    np.testing.assert_array_equal(t.permute(2, 0, 1).data, x.transpose(2, 0, 1))
    np.testing.assert_array_equal(t[0].T.data, x[0].T)
    np.testing.assert_array_equal(t.mT.data, x.transpose(0, 2, 1))
    np.testing.assert_array_equal(t.flip([0, 2]).data, x[::-1, :, ::-1])
    assert check_vjp(lambda a: a.permute(2, 0, 1), x)
    assert check_vjp(lambda a: a.transpose(0, -1) * 2.0, x)
    assert check_vjp(lambda a: a.flip([1]), x)


def test_wrong_orders():
    with pytest.raises(ShapeError, match="permute"):
        nb.zeros(2, 3).permute(0)
    with pytest.raises(ValueError, match="multiple times"):
        nb.zeros(2, 3).permute(0, 0)
    with pytest.raises(ShapeError, match="2 dimensions"):
        nb.zeros(1, 1, 1).t()
    assert nb.tensor(1.0).t().shape == ()
    assert nb.tensor(1.0).permute().shape == ()
    with pytest.raises(TypeError):
        nb.zeros(1).T = nb.zeros(1)


@given(x=arrays((1, 3, 1)))
def test_lengths_of_one(x):
    t = nb.Tensor(x)
    assert t.squeeze().shape == (3,)
    assert t.squeeze(0).shape == (3, 1)
    assert t.squeeze(1).shape == (1, 3, 1)
    assert t.squeeze((0, 2)).shape == (3,)
    assert t.unsqueeze(-1).shape == (1, 3, 1, 1)
    assert t.unsqueeze(0).shape == (1, 1, 3, 1)
    assert t.expand(2, -1, 5).shape == (2, 3, 5)
    assert t.expand(7, 1, 3, 1).shape == (7, 1, 3, 1)
    assert check_vjp(lambda a: a.expand(2, 4, 3, 5) * 2.0, x)
    assert check_vjp(nb.squeeze, x)
    for wrong in ((2, 2, 1), (3, 1), (-1, 1, 3, 1)):
        with pytest.raises(ShapeError, match="expand"):
            t.expand(*wrong)


@given(shape=shapes(min_dims=1, min_side=0), data=st.data())
def test_cat_and_stack(shape, data):
    parts = [data.draw(arrays(shape)) for _ in range(3)]
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    tensors = [nb.Tensor(part) for part in parts]
    np.testing.assert_array_equal(nb.stack(tensors, dim).data, np.stack(parts, dim))
    if shape != (0,):
        np.testing.assert_array_equal(nb.cat(tensors, dim).data, np.concatenate(parts, dim))
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


def test_clone_and_contiguous():
    x = nb.ones(2, 3, requires_grad=True)
    assert x.clone().data is not x.data
    assert x.contiguous() is x
    y = x.T.contiguous()
    assert y.is_contiguous()
    y.sum().backward()
    assert x.grad.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert check_vjp(nb.clone, np.ones((2, 3)).T)
