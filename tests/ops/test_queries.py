import numpy as np

import nbgrad as nb


def test_questions():
    x = nb.ones(2, 3)
    assert nb.is_tensor(x)
    assert not nb.is_tensor(x.array)
    assert nb.is_floating_point(x)
    assert not nb.is_floating_point(nb.arange(2))
    assert nb.numel(x) == x.nelement() == 6
    assert x.ndimension() == 2
    assert (x.get_device(), x.is_cuda, x.is_pinned()) == (-1, False, False)
    assert x.pin_memory() is x


def test_detach():
    y = nb.detach(nb.ones(2, requires_grad=True))
    assert not y.requires_grad


def test_type_as():
    x = nb.ones(2, requires_grad=True)
    assert x.type_as(nb.zeros(1)) is x
    y = x.type_as(nb.zeros(1, dtype=nb.float64))
    y.sum().backward()
    assert (y.dtype, x.grad.tolist()) == (nb.float64, [1, 1])
    assert x.type_as(nb.arange(1)).dtype == nb.int64


def test_new_empty():
    x = nb.arange(2)
    assert x.new_empty(2, 3).shape == x.new_empty((2, 3)).shape == (2, 3)
    assert x.new_empty(2).dtype == nb.int64
    assert x.new_empty(2, dtype=nb.float32, requires_grad=True).requires_grad


def test_numbers_and_types():
    assert (nb.inf, nb.pi, nb.e) == (np.inf, np.pi, np.e)
    assert np.isnan(nb.nan)
    assert nb.finfo(nb.float32).eps == np.finfo(np.float32).eps
    assert nb.iinfo(nb.int8).max == 127
    assert isinstance(nb.ones(1).dtype, nb.dtype)
