"""Letters about unused results: what they cost in messages, whom they disturb, and that everybody hears exactly once."""

from types import SimpleNamespace

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.settle import is_outside, on_letter, post_letter
from nbgrad.errors import FastModeError
from nbgrad.rpc.message import LETTER
from tests.dist_autograd.worlds import add, mul, own_alone, reset
from tests.groups import on_all


def n_sent():
    return rpc.statistics().messages


def messages_of(forward, mode):
    """Messages of the backward pass of a program, on all workers; those of asking are taken away."""
    on_all(reset)
    on_all(n_sent)  # a function's first call takes a message more
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = forward(x, y)
        idle = sum(on_all(n_sent))
        before = sum(on_all(n_sent))
        try:
            dist_autograd.backward(context_id, [loss], mode=mode)
        except FastModeError:
            pass
        after = sum(on_all(n_sent))
        gradient = dist_autograd.get_gradients(context_id)[x]
        return after - before - (before - idle), gradient.array.tolist()


def used(x, y):
    return rpc.rpc_sync(1, add, (x, y)).sum()


def unused_same_worker(x, y):
    rpc.rpc_sync(1, mul, (x, y))
    return used(x, y)


def unused_other_worker(x, y):
    rpc.rpc_sync(2, mul, (x, y))
    return used(x, y)


def unused_alone(x, y):
    rpc.rpc_sync(2, mul, (x, y))
    return (x * 1).sum()


def unused_to_self(x, y):
    rpc.rpc_sync(0, mul, (x, y))
    return used(x, y)


def two_unused_same_worker(x, y):
    rpc.rpc_sync(1, mul, (x, y))
    return unused_same_worker(x, y)


def unused_inside(x, y):
    return rpc.rpc_sync(1, add_and_ignore, (x, y)).sum()


def add_and_ignore(x, y):
    rpc.rpc_sync(2, mul, (x, y))
    return x + y


def twenty_unused(x, y):
    for _ in range(20):
        rpc.rpc_sync(1, mul, (x, y))
    return used(x, y)


def number(x):
    return 7


def returns_a_number(x, y):
    rpc.rpc_sync(1, number, (x,))
    return used(x, y)


def returns_a_number_elsewhere(x, y):
    """Worker 2 has no reason to take part, so it must be asked."""
    rpc.rpc_sync(2, number, (x,))
    return used(x, y)


def nothing_to_ask(x, y):
    """A result without gradient arguments: only worker 2 has a send, and the pass never goes there."""
    rpc.rpc_sync(2, own_alone)
    return used(x, y)


@pytest.mark.parametrize(
    ("forward", "most"),
    [
        (used, 0),
        (nothing_to_ask, 0),
        (unused_same_worker, 2),
        (unused_other_worker, 2),
        (unused_alone, 2),
        (unused_to_self, 0),
        (unused_inside, 2),
        (two_unused_same_worker, 2),
        (twenty_unused, 10),
        (returns_a_number, 1),
        (returns_a_number_elsewhere, 3),
    ],
)
def test_messages_of_a_pass(group3, forward, most):
    n_used, gradient = group3.call(messages_of, used, "auto")
    assert gradient == [1.0, 1.0]
    n, gradient = group3.call(messages_of, forward, "auto")
    assert gradient == [1.0, 1.0]
    assert n - (0 if forward is unused_alone else n_used) <= most


def test_auto_sends_what_fast_sends_where_all_is_used(group3):
    assert group3.call(messages_of, used, "auto") == group3.call(messages_of, used, "fast")


def n_parts_elsewhere():
    """After an unused call to worker 1 a result of worker 2 that needs nobody: worker 2 is left alone."""
    on_all(reset)
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        rpc.rpc_sync(2, own_alone)
        dist_autograd.backward(context_id, [unused_same_worker(x, y)])
        return sorted(dist_autograd.pass_statistics(context_id)[0])


def test_workers_that_need_nothing_are_left_alone(group3):
    assert group3.call(n_parts_elsewhere) == ["worker0", "worker1"]


def later_passes():
    """Old pairs of a context are unused in each later pass."""
    on_all(reset)
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        for _ in range(12):
            dist_autograd.backward(context_id, [unused_other_worker(x, y)])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_each_pass_of_a_long_context_comes_out_right(group3):
    assert group3.call(later_passes) == [12.0, 12.0]


# ---------------------------------------------------------------- one worker's side


def part_with(seen, recvs, declared=()):
    context = SimpleNamespace(recvs=recvs)
    return SimpleNamespace(table=dict.fromkeys(seen), declared=set(declared), context=context)


def test_a_recv_that_is_seen_is_not_outside():
    assert not is_outside(part_with(["recv"], {7: "recv"}), 7)


@pytest.mark.parametrize("recvs", [{7: "recv"}, {}])
def test_a_recv_that_is_unknown_or_not_seen_is_declared_once(recvs):
    part = part_with(["other"], recvs)
    assert is_outside(part, 7)
    assert part.declared == {7}
    assert not is_outside(part, 7)


@pytest.mark.parametrize("numbers", [[], [1], [1, -2, 3, -4]])
def test_a_letter_is_one_message_of_fixed_size(numbers):
    posted = []
    agent = SimpleNamespace(post=lambda *args: posted.append(args))
    context = SimpleNamespace(id=5)
    part = SimpleNamespace(agent=agent, n_messages=0, row=8, id=9, context=context)
    post_letter(part, 1, numbers)
    assert posted == [(1, 8, LETTER, 9, 5, *(numbers + [0] * 4)[:4], (), None)]


def test_a_word_for_a_send_that_was_not_counted_is_nothing(monkeypatch):
    monkeypatch.setattr("nbgrad.dist_autograd.ledger.phase", lambda row: 0)
    part = part_with([], {})
    part.__dict__.update(row=8, snapshot={}, asked=True, fast=False, drain=lambda ready: None)
    message = (1, LETTER, 0, 0, -7, 0, 0, 0, (), None)
    on_letter(part, message)  # neither served nor answered: `part` could do neither
