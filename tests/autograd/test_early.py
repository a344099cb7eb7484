"""Early leaves: told when their gradient is whole, before the pass goes on; ends run once."""

import pytest

import nbgrad as nb
from nbgrad.autograd.early import at_end, register_ready


def chain(n):
    """Weights of a chain of layers, and its result."""
    weights = [nb.full((1,), float(k + 2), requires_grad=True) for k in range(n)]
    x = nb.ones(1)
    for w in weights:
        x = x * w
    return weights, x


def test_gradients_are_whole_when_they_are_told_and_the_last_layer_comes_first():
    weights, x = chain(3)
    told = []
    for k, w in enumerate(weights):
        register_ready(w, lambda leaf, k=k: told.append((k, leaf.grad.item(), weights[0].grad)))
    weights[1].register_hook(lambda g: g * 10)
    (x.sum() + (weights[2] * 2).sum()).backward()
    assert [(k, g) for k, g, _ in told] == [(2, 8), (1, 80), (0, 12)]
    assert told[0][2] is None, "the first layer's gradient is not there yet"


def test_a_leaf_that_is_used_twice_is_told_once():
    w, told = nb.ones(1, requires_grad=True), []
    register_ready(w, lambda leaf: told.append(leaf.grad.item()))
    y = w * 2
    (y * w).sum().backward()
    assert told == [4]
    (w * 1).sum().backward()
    assert told == [4, 5]


def test_gradients_do_not_share_memory_with_anything():
    w, told = nb.ones(1000, requires_grad=True), []
    register_ready(w, lambda leaf: told.append(leaf))
    seed = nb.ones(1000)
    (w * 1).backward(seed)
    w.grad.mul_(5)
    assert seed.sum().item() == 1000
    assert told == [w]


def test_ends_run_once_and_not_after_a_failure():
    w, ends = nb.ones(1, requires_grad=True), []
    handle = register_ready(w, lambda leaf: at_end(lambda: ends.append(leaf.grad.item())))
    v = nb.ones(1, requires_grad=True)
    (w * v).sum().backward()
    (w * v).sum().backward(create_graph=True)
    assert ends == [1, 2]

    def fail(g):
        raise ValueError("planted")

    broken = v * 1
    broken.register_hook(fail)
    x = w * 1
    with pytest.raises(ValueError, match="planted"):
        (broken.sum() + x.sum()).backward()
    assert ends == [1, 2]
    (v * 1).sum().backward()
    assert ends == [1, 2], "that pass had nothing to run"
    handle.remove()
    (w * 1).sum().backward()
    assert ends == [1, 2]


def test_a_path_that_ends_in_nothing_is_told_at_the_end():
    w, told = nb.ones(1, requires_grad=True), []

    class Nothing(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return None

    early = w * 3
    late = Nothing.apply(w * 2)
    register_ready(w, lambda leaf: told.append(leaf.grad.item()))
    (early.sum() + late.sum()).backward()
    assert told == [3]
