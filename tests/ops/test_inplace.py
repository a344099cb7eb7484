import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import GraphError, ShapeError


def test_each_writes_the_same_memory():
    x = nb.ones(2)
    array = x.array
    assert x.add_(1.0) is x
    x.mul_(nb.tensor([2.0, 3.0])).sub_(1.0).div_(2.0)
    assert x.tolist() == [1.5, 2.5]
    assert x.fill_(7).tolist() == [7, 7]
    assert x.zero_().tolist() == [0, 0]
    assert x.copy_(nb.tensor([1, 2])).tolist() == [1, 2]
    assert x.add_(nb.ones(2), alpha=3).sub_(nb.ones(2), alpha=2).tolist() == [2, 3]
    assert x.clamp_(max=2.5).tolist() == [2, 2.5]
    assert x.fill_(nb.tensor(1.0)).tolist() == [1, 1]
    x[0] = 9
    x[nb.tensor([False, True])] = nb.tensor([8.0])
    assert x.tolist() == [9, 8]
    assert x.array is array
    x += 1
    x *= 2
    x -= 1
    x /= 2
    assert x.array is array
    assert x.dtype == np.float32


def test_random_values():
    nb.manual_seed(0)
    assert (nb.empty(100).uniform_(2.0, 3.0) >= 2).all()
    assert abs(nb.empty(1000).normal_(5.0, 0.1).mean().item() - 5) < 0.1


def test_a_leaf_that_requires_grad_is_refused():
    p = nb.ones(2, requires_grad=True)
    for change in (
        lambda: p.add_(1),
        lambda: p.zero_(),
        lambda: p.copy_(nb.zeros(2)),
        lambda: p.__setitem__(0, 1.0),
        lambda: p.__iadd__(1),
        lambda: p.uniform_(),
    ):
        with pytest.raises(
            GraphError, match="a leaf Variable that requires grad is being used in an in-place"
        ):
            change()
    with nb.no_grad():
        p.mul_(3)
        p -= 1
    assert p.tolist() == [2, 2]
    assert p.requires_grad


def test_recorded_random_values_are_refused():
    with pytest.raises(GraphError, match="uniform_ of a tensor that requires grad"):
        (nb.ones(2, requires_grad=True) * 2).uniform_()


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="in-place add"):
        nb.ones(2).add_(nb.ones(3))
    with pytest.raises(ShapeError, match="copy_"):
        nb.ones(2).copy_(nb.ones(3))
    with pytest.raises(TypeError):
        nb.ones(2, dtype=nb.int64).add_(0.5)


def test_random_whole_numbers():
    nb.manual_seed(0)
    x = nb.empty(1000, dtype=nb.int64)
    assert x.random_(2, 5) is x
    assert set(x.tolist()) == {2, 3, 4}
    assert set(x.random_(2).tolist()) == {0, 1}
    assert x.random_().max().item() > 1 << 60
    assert nb.empty(1000, dtype=nb.uint8).random_().max().item() > 250
    assert set(nb.empty(100, dtype=nb.bool).random_().tolist()) == {False, True}
    y = nb.empty(1000).random_()
    assert (1 << 23) < y.max().item() < 1 << 24
    assert (y == y.floor()).all()
    g = nb.Generator().manual_seed(1)
    first = nb.empty(5).random_(100, generator=g).tolist()
    assert nb.empty(5).random_(100, generator=g.manual_seed(1)).tolist() == first
    with pytest.raises(ValueError, match="'from' to be less than 'to'"):
        x.random_(5, 5)
