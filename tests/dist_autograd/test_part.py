"""A worker's part of a pass: sums, absences, hooks, retained graphs."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import BackwardError, FastModeError


def both(x, y):
    return x + y, x * y


def identity(x):
    return x


def run(mode):
    """One of two results is unused, and one argument of an unused call."""
    x, y, z = (nb.full((2,), v, requires_grad=True) for v in (2.0, 3.0, 4.0))
    with dist_autograd.context() as context_id:
        _, product = rpc.rpc_sync("worker1", both, args=(x, y))
        rpc.rpc_sync("worker1", identity, args=(z,))
        dist_autograd.backward(context_id, [product.sum()], mode=mode)
        found = dist_autograd.get_gradients(context_id)
        return [found[t].tolist() if t in found else None for t in (x, y, z)]


def one_slot_unused():
    """Mode "fast" keeps the original's zeros in slots of a message of which another slot is used."""
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        first, _ = rpc.rpc_sync("worker1", both, args=(x, x * 2))
        dist_autograd.backward(context_id, [first.sum()], mode="fast")
        return dist_autograd.get_gradients(context_id)[x].tolist()


def hooks():
    """A leaf reached here and through a call: its hook sees the sum, once; retain_grad of a received tensor works."""
    x, seen = nb.ones(2, requires_grad=True), []
    x.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker1", identity, args=(x,))
        y.retain_grad()
        dist_autograd.backward(context_id, [(y * 2 + x).sum()])
        return seen, dist_autograd.get_gradients(context_id)[x].tolist(), y.grad.tolist(), x.grad


def again(retain):
    x = nb.full((2,), 3.0, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", both, args=(x, x))[1].sum()
        dist_autograd.backward(context_id, [loss], retain_graph=retain)
        dist_autograd.backward(context_id, [loss])
        return dist_autograd.get_gradients(context_id)[x].tolist()


def test_absent_is_absent(group2):
    assert group2.call(run, "auto") == [[3, 3], [2, 2], None]


def test_fast_names_the_unused_call(group2):
    with pytest.raises(FastModeError, match="identity"):
        group2.call(run, "fast")


def test_fast_fills_slots_with_zeros(group2):
    assert group2.call(one_slot_unused) == [3, 3]


def test_hooks_see_the_sum_once(group2):
    assert group2.call(hooks) == ([[3, 3]], [30, 30], [2, 2], None)


def test_a_retained_graph_runs_again_and_adds_up(group2):
    assert group2.call(again, True) == [12, 12]


def test_a_freed_graph_says_which_op(group2):
    with pytest.raises(BackwardError, match="'mul'"):
        group2.call(again, False)
