import gc
import weakref

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.buffers import move, writable
from nbgrad.errors import GraphError
from nbgrad.shm import arena
from nbgrad.shm.binding import block_of, current
from tests.shm.place import bindings


def test_data_shows_the_same_memory_outside_of_the_graph():
    x = nb.ones(2, 3, requires_grad=True)
    y = x * 2
    for tensor in (x, y):
        assert tensor.data.array is tensor.array
        assert not tensor.data.requires_grad
        assert tensor.data.is_leaf
        assert tensor.data._base is None


def test_the_idioms_of_old_programs():
    p = nb.nn.Parameter(nb.ones(3))
    before = p.array
    p.data.fill_(2)
    p.data.add_(1).mul_(2)
    assert p.tolist() == [6, 6, 6]
    p.data.copy_(nb.tensor([1.0, 2.0, 3.0]))
    p.data[0] = 5
    p.data[1:] += 1
    p.data[1].zero_()
    assert p.tolist() == [5, 0, 4]
    (p * p).sum().backward()
    p.data -= 0.5 * p.grad.data
    assert p.tolist() == [0, 0, 0]
    p.grad.data.zero_()
    assert p.grad.tolist() == [0, 0, 0]
    p.data.uniform_(0.25, 0.5)
    assert all(0.25 <= value < 0.5 for value in p.tolist())
    assert p.array is before
    assert type(p) is nb.nn.Parameter
    assert p.requires_grad


def test_data_can_be_set():
    p = nb.nn.Parameter(nb.ones(3))
    source = nb.zeros(2, 2)
    p.data = source
    assert p.array is source.array
    assert p.shape == (2, 2)
    (p + 1).sum().backward()
    assert p.grad.tolist() == [[1, 1], [1, 1]]
    p.data = p.data.double()
    assert p.dtype == nb.float64


def test_what_data_can_not_be_set_to():
    p = nb.nn.Parameter(nb.ones(3))
    with pytest.raises(TypeError, match="Variable data has to be a tensor, but got ndarray"):
        p.data = np.zeros(3)
    with pytest.raises(RuntimeError, match=r"must be floating point.*int64"):
        p.data = nb.tensor([1, 2, 3])
    assert p.tolist() == [1, 1, 1]


def test_writes_through_data_are_not_checked_and_those_through_detach_are():
    x = nb.ones(2, requires_grad=True)
    y = (x * x).sum()
    for write in (lambda: x.data.mul_(3), lambda: x.data[0].add_(0), lambda: x.data[:1].fill_(3)):
        write()
    assert x._version == 0
    y.backward()
    assert x.grad.tolist() == [6, 6]  # of the new values: nobody looked
    y = (x * x).sum()
    x.detach().mul_(2)
    assert x._version == 1
    with pytest.raises(GraphError, match="modified by an inplace operation"):
        y.backward()


def test_sparse_gradients():
    weight = nb.ones(4, 2, requires_grad=True)
    nb.nn.functional.embedding(nb.tensor([1, 1]), weight, sparse=True).sum().backward()
    weight.grad.data.mul_(2)
    assert weight.grad.to_dense()[1].tolist() == [4, 4]
    weight.grad.data.zero_()
    assert not weight.grad.to_dense().any()


@pytest.mark.parametrize("look", [lambda x: x.data, lambda x: x.detach()])
def test_a_kept_look_does_not_keep_the_graph(look):
    x = nb.ones(2, requires_grad=True)
    y = x * 2
    node, kept = weakref.ref(y), look(y)
    del y
    gc.collect()
    assert node() is None
    kept.add_(1)
    assert kept.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("look", "place"),
    [
        (lambda x: x.data, ...),
        (lambda x: x.detach(), ...),
        (lambda x: x[1:], np.s_[1:]),
        (lambda x: x.data[1:, 0], np.s_[1:, 0]),
        (lambda x: x.t()[1], np.s_[:, 1]),
        (lambda x: x.view(-1)[5:], np.s_[1, 2:]),
        (lambda x: x.detach().reshape(6)[5], np.s_[1, 2]),
    ],
)
def test_who_shows_memory_moves_with_its_owner(look, place):
    x = nb.arange(6.0).reshape(2, 3).clone()
    old, wanted = x.array, x.array.copy()
    seen = look(x)
    assert np.shares_memory(seen.array, old)
    assert np.array_equal(move(seen), wanted[place])
    assert not np.shares_memory(x.array, old)
    assert np.array_equal(x.array, wanted)
    seen.fill_(9)
    wanted[place] = 9
    assert np.array_equal(x.array, wanted)
    assert writable(seen) is seen.array


@pytest.mark.parametrize("look", [lambda x: x.data, lambda x: x.detach(), lambda x: x[:]])
def test_memory_that_somebody_else_holds_stays_as_it_was(look):
    with bindings(1) as (binding,):
        current.append(binding)
        x = nb.ones(50_000)
        old, block = x.array, block_of(x.array)
        holder = arena.generation(block)
        assert arena.hold(block, holder) == 1
        look(x).mul_(2)
        assert (x.array == 2).all()
        assert (old == 1).all()
        arena.release(block, holder)
        current.remove(binding)
