import copy
import pickle

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError, GraphError, ShapeError


def test_the_constructor_converts_nothing():
    a = np.zeros(3, np.float64)
    assert nb.Tensor(a).array is a


def test_what_it_is():
    x = nb.zeros(2, 3, dtype=nb.float64)
    assert x.shape == x.size() == (2, 3)
    assert x.shape.numel() == x.numel() == 6
    assert x.size(-1) == len(x[0]) == 3
    assert x.dim() == x.ndim == 2
    assert (x.element_size(), x.itemsize, x.nbytes) == (8, 8, 48)
    assert x.stride() == (3, 1)
    assert x.stride(0) == 3
    assert x.is_leaf
    assert x.grad_fn is None
    assert x.output_nr == 0
    assert x.is_floating_point()
    assert x.is_contiguous()
    assert not x.T.is_contiguous()
    assert x.data_ptr() == x.array.__array_interface__["data"][0]
    assert repr(x.shape) == "Size([2, 3])"


def test_hash_is_identity_and_equality_is_elementwise():
    x, y = nb.ones(2), nb.ones(2)
    assert len({x, y}) == 2
    assert {x: 1}[x] == 1
    assert (x == y).tolist() == [True, True]


def test_detach_shares_memory():
    x = nb.ones(2, requires_grad=True)
    y = (x * 2).detach()
    assert y.is_leaf
    assert not y.requires_grad
    assert x.detach().array is x.array


def test_numpy_is_refused_for_what_requires_grad():
    x = nb.ones(2, requires_grad=True)
    with pytest.raises(GraphError, match=r"detach\(\)\.numpy\(\)"):
        x.numpy()
    with pytest.raises(RuntimeError):
        np.asarray(x)
    assert x.detach().numpy() is x.array
    assert np.asarray(nb.ones(2), np.float64).dtype == np.float64
    copied = np.array(nb.ones(2))
    assert copied.tolist() == [1, 1]


def test_item_needs_one_element():
    assert nb.tensor([[2.5]]).item() == 2.5
    assert type(nb.tensor(3).item()) is int
    with pytest.raises(ShapeError, match="cannot be converted to Scalar"):
        nb.ones(2).item()


def test_requires_grad_in_place():
    x = nb.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad
    with pytest.raises(DtypeError, match="floating point"):
        nb.tensor([1]).requires_grad_()
    with pytest.raises(GraphError, match="leaf variables"):
        (x * 2).requires_grad_(False)


def test_as_python_values():
    assert float(nb.tensor(1.5)) == 1.5
    assert int(nb.tensor([2])) == 2
    assert [10, 20, 30][nb.tensor(1)] == 20
    assert bool(nb.tensor(1.0))
    assert f"{nb.tensor(1.23456):.2f}" == "1.23"
    assert f"{nb.ones(1)}" == "tensor([1.])"
    assert 2.0 in nb.tensor([1.0, 2.0])
    assert [x.item() for x in nb.tensor([1, 2])] == [1, 2]
    assert nb.tensor([[1, 2]]).tolist() == [[1, 2]]
    with pytest.raises(ShapeError, match="ambiguous"):
        bool(nb.ones(2))
    with pytest.raises(TypeError, match="0-d"):
        len(nb.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(nb.tensor(1.0))
    with pytest.raises(TypeError, match="index"):
        [1][nb.tensor(0.0)]


def test_an_array_on_the_left_gives_a_tensor():
    x = nb.ones(2, requires_grad=True)
    for y in (np.ones(2, np.float32) + x, np.float32(2) * x, np.ones(2, np.float32) - x):
        assert isinstance(y, nb.Tensor)
        assert y.requires_grad


def test_pickle_keeps_values_and_leaves_the_graph():
    x = nb.ones(2, requires_grad=True)
    y = pickle.loads(pickle.dumps(x * 2))
    assert y.tolist() == [2, 2]
    assert y.is_leaf
    assert y.requires_grad
    assert isinstance(pickle.loads(pickle.dumps(nb.nn.Parameter(x))), nb.nn.Parameter)


def test_deepcopy_of_leaves_only():
    x = nb.ones(2, requires_grad=True)
    x.grad = nb.zeros(2)
    y = copy.deepcopy(x)
    assert y.array is not x.array
    assert y.requires_grad
    assert y.grad.tolist() == [0, 0]
    assert copy.deepcopy([x, x])[0] is not x
    with pytest.raises(GraphError, match="deepcopy"):
        copy.deepcopy(x * 2)


def test_the_constructor_takes_lists():
    assert nb.Tensor([1, 2]).dtype == nb.float32
    assert nb.Tensor([[1.5], [2.5]]).tolist() == [[1.5], [2.5]]
    assert (nb.Tensor((1, 2)) * 2).tolist() == [2, 4]
    x = nb.ones(2)
    assert nb.Tensor(x).array is x.array
    for size in ((2, 3), (2,), (1.5,)):
        with pytest.raises(DtypeError, match="not clear"):
            nb.Tensor(*size)
