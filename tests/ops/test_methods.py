import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import NbgradError
from nbgrad.ops import methods


def test_every_method_has_a_home():
    for module, names in methods.SAME_NAME.items():
        for name in names.split():
            assert getattr(nb.Tensor, name) is getattr(module, name)


def test_an_operator_is_the_op_itself():
    assert nb.Tensor.__mul__ is nb.mul


def test_numbers_on_the_left():
    x = nb.tensor([2.0])
    assert (3 - x).tolist() == [1]
    assert (3 / x).tolist() == [1.5]
    assert (3**x).tolist() == [9]
    assert (7 % x).tolist() == [1]
    assert (-x).tolist() == [-2]
    assert abs(-x).tolist() == [2]


def test_conversions():
    x = nb.ones(2)
    assert x.to(nb.float64).dtype == x.double().dtype == np.float64
    assert x.to("cpu") is x.to(nb.device("cpu")) is x.cpu() is x.float() is x
    assert x.to("cpu", nb.float64).dtype == np.float64
    assert x.to(nb.zeros(1, dtype=nb.int64)).dtype == np.int64
    assert x.to(dtype="float64", device="cpu").dtype == np.float64
    assert x.int().dtype == np.int32
    assert x.bool().dtype == np.bool_
    assert x.type(nb.float64).dtype == np.float64
    assert x.type() == np.float32
    with pytest.raises(NbgradError, match="CPU only"):
        x.cuda()
    with pytest.raises(NbgradError):
        x.to("cuda:0")


def test_new_tensors_take_the_dtype():
    x = nb.ones(2, dtype=nb.float64)
    for y in (x.new_zeros(3), x.new_ones((3,)), x.new_full((3,), 2), x.new_tensor([1, 2, 3])):
        assert y.dtype == np.float64
        assert y.shape == (3,)


def test_detach_in_place():
    x = nb.ones(2, requires_grad=True)
    y = x * 2
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad


def test_more_names():
    x = nb.tensor([[-1.0, 2.0]])
    assert x.clip(0).tolist() == [[0, 2]]
    assert x.square().tolist() == [[1, 4]]
    assert x.absolute().tolist() == [[1, 2]]
    assert x.expand_as(nb.zeros(3, 2)).shape == (3, 2)
    assert x.reshape_as(nb.zeros(2)).shape == (2,)
    assert x.T.shape == (2, 1)
