import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import arrays


@given(x=arrays((2, 3, 4)))
def test_reshape_and_flatten(x):
    t = nb.Tensor(x)
    np.testing.assert_array_equal(t.reshape(6, -1).array, x.reshape(6, 4))
    np.testing.assert_array_equal(t.view((4, 6)).array, x.reshape(4, 6))
    assert t.flatten(1).shape == (2, 12)
    assert t.flatten(0, 1).shape == (6, 4)
    assert nb.tensor(1.0).flatten().shape == (1,)
    assert t.view_as(nb.zeros(24)).shape == (24,)
    assert check_vjp(lambda a: a.reshape(4, 6), x)
    assert check_vjp(nb.flatten, x)


def test_reshape_shares_memory_where_it_can():
    x = nb.zeros(4)
    assert np.shares_memory(x.view(2, 2).array, x.array)
    with pytest.raises(ShapeError, match=r"shape '\[3, 2\]' is invalid for input of size 4"):
        x.view(3, 2)
    with pytest.raises(ShapeError, match="after"):
        nb.zeros(2, 2).flatten(1, 0)


@given(x=arrays((2, 3, 4)))
def test_orders_of_dimensions(x):
    t = nb.Tensor(x)
    np.testing.assert_array_equal(t.transpose(0, 2).array, x.transpose(2, 1, 0))
    np.testing.assert_array_equal(t.permute(2, 0, 1).array, x.transpose(2, 0, 1))
    np.testing.assert_array_equal(t[0].T.array, x[0].T)
    np.testing.assert_array_equal(t.mT.array, x.transpose(0, 2, 1))
    np.testing.assert_array_equal(t.flip([0, 2]).array, x[::-1, :, ::-1])
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


def test_clone_and_contiguous():
    x = nb.ones(2, 3, requires_grad=True)
    assert x.clone().array is not x.array
    assert x.contiguous() is x
    y = x.T.contiguous()
    assert y.is_contiguous()
    y.sum().backward()
    assert x.grad.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert check_vjp(nb.clone, np.ones((2, 3)).T)
