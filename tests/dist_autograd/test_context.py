"""Contexts on their workers: joined, released by anybody, late calls, rows used again."""

import sys
import time
from types import SimpleNamespace

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.context import Context, Contexts
from nbgrad.errors import ContextError
from nbgrad.rpc import state
from tests.groups import eventually, on_all


def mul(x, y):
    return x * y


def identity(x):
    return x


def n_open():
    return dist_autograd._get_debug_info()["num_autograd_contexts"]


def all_closed():
    return on_all(n_open) == [0] * state.agent().world


def raised(function, *args):
    try:
        function(*args)
    except Exception as error:
        return type(error), str(error)
    return None


# ---------------------------------------------------------------- release


def pass_on(x, path):
    return rpc.rpc_sync(path[0], pass_on, (x * 2, path[1:])) if path else x


def open_and_leave(path):
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context():
        pass_on(x, path)
        opened = on_all(n_open)
    return opened, eventually(all_closed)


@pytest.mark.parametrize(
    ("path", "opened"),
    [((), [1, 1, 1]), ((1,), [1, 1, 1]), ((1, 2), [1, 1, 1]), ((1, 0, 1), [1, 1, 1])],
)
def test_a_release_reaches_all_workers(group3, path, opened):
    # on_all calls with the context, so it reaches everybody; what matters is that all are told
    assert group3.call(open_and_leave, path) == (opened, True)


def release_there():
    """A peer releases: this worker is told, and its own exit says so."""
    x = nb.ones(2, requires_grad=True)
    context = dist_autograd.context()
    context_id = context.__enter__()
    rpc.rpc_sync(1, mul, (x, x))
    rpc.rpc_sync(1, dist_autograd._release_context, (context_id,))
    gone = eventually(lambda: raised(dist_autograd._is_valid_context, context_id))
    error = raised(context.__exit__, None, None, None)
    no_current = raised(dist_autograd._current_context)
    return gone, error, no_current, eventually(all_closed)


def test_a_peer_may_release(group2):
    gone, (kind, text), no_current, closed = group2.call(release_there)
    assert gone
    assert closed
    assert issubclass(kind, ContextError)
    assert "Could not find autograd context with id" in text
    assert "doesn't have a valid autograd context" in no_current[1]


def body_and_release_fail():
    """A peer has released the context, and the block raises: the block's own error is what comes out."""
    x = nb.ones(2, requires_grad=True)
    try:
        with dist_autograd.context() as context_id:
            rpc.rpc_sync(1, mul, (x, x))
            rpc.rpc_sync(1, dist_autograd._release_context, (context_id,))
            gone = eventually(lambda: raised(dist_autograd._is_valid_context, context_id))
            raise KeyError("body")
    except KeyError as error:
        return gone, error.args, raised(dist_autograd._current_context)


def test_the_error_of_the_block_is_not_hidden_by_that_of_its_end(group2):
    gone, arguments, no_current = group2.call(body_and_release_fail)
    assert gone
    assert arguments == ("body",)
    assert "doesn't have a valid autograd context" in no_current[1]


def release_by_both(n):
    """Both release at once, again and again: rows are not given twice."""
    for k in range(n):
        context = dist_autograd._new_context()
        future = rpc.rpc_async(1, try_to_release, (context.id,))
        for _ in range(k % 50 * 100):  # meet the other one's release
            pass
        raised(dist_autograd._release_context, context.id)
        raised(future.wait)
    eventually(all_closed)
    contexts = state.agent().contexts
    return contexts.n_rows, len(contexts.free), len(set(contexts.free))


def try_to_release(context_id):
    raised(dist_autograd._release_context, context_id)


def test_a_row_is_freed_once_whoever_releases(group2):
    rows, n_free, n_different = group2.call(release_by_both, 300)
    assert n_free == n_different <= rows < 100


# ---------------------------------------------------------------- calls under way


def slow_mul(x, y):
    time.sleep(0.05)
    return x * y


def slow_nested(x):
    time.sleep(0.05)
    return rpc.rpc_sync(0, mul, (x, x))


def late(function, *args):
    """A call that is under way when its context ends: its future fails or ends, soon."""
    with dist_autograd.context():
        future = rpc.rpc_async(1, function, args)
    start = time.monotonic()
    found = raised(future.wait)
    return found, time.monotonic() - start < 2.0, eventually(all_closed)


@pytest.mark.parametrize("function", [slow_mul, slow_nested])
def test_calls_that_outlive_their_context_end(group2, function):
    args = 2 if function is slow_mul else 1
    found, soon, closed = group2.call(late_with_grad, function, args)
    assert soon
    assert closed
    assert issubclass(found[0], ContextError)
    assert "Couldn't find autograd context data" in found[1]


def late_with_grad(function, n):
    return late(function, *[nb.ones(2, requires_grad=True)] * n)


def many_late(n):
    """Calls posted just before the end of their context: answered, or refused, each one."""
    x = nb.ones(2, requires_grad=True)
    futures = []
    for _ in range(n):
        with dist_autograd.context():
            futures += [rpc.rpc_async(rank, mul, (x, x)) for rank in range(3)]
    kinds = {raised(future.wait)[0] if raised(future.wait) else None for future in futures}
    return kinds <= {None, ContextError}, eventually(all_closed)


def test_calls_posted_at_the_end_are_all_answered(group3):
    assert group3.call(many_late, 100, deadline=60.0) == (True, True)


def late_without_tensors():
    with dist_autograd.context():
        future = rpc.rpc_async(1, slow_identity, (5,))
    return raised(future.wait), eventually(all_closed)


def slow_identity(x):
    time.sleep(0.02)
    return x


def test_a_late_call_without_tensors_is_answered_or_refused(group2):
    found, closed = group2.call(late_without_tensors)
    assert closed
    assert found is None or issubclass(found[0], ContextError)


def late_backward():
    """A pass after the release of its context."""
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, mul, (x, x)).sum()
    return raised(dist_autograd.backward, context_id, [loss])


def test_a_pass_after_the_release_is_refused(group2):
    kind, text = group2.call(late_backward)
    assert issubclass(kind, ContextError)
    assert "has been released" in text


# ---------------------------------------------------------------- one part of a context


def test_a_release_that_meets_the_first_message_leaves_no_ghost(monkeypatch):
    session = SimpleNamespace(
        segment=SimpleNamespace(address=0), layout=SimpleNamespace(context_row=lambda *_: 0)
    )
    serving = SimpleNamespace(at_slice_end=[])
    agent = SimpleNamespace(rank=1, world=2, session=session, serving=serving, on=lambda *_: None)
    contexts = Contexts(agent)
    seen = iter([1, 0])  # open when it is looked at first; released before it is in the table
    monkeypatch.setattr(
        sys.modules[Contexts.__module__], "rows", SimpleNamespace(is_open=lambda *_: next(seen))
    )
    assert contexts.get(5) is None
    assert contexts.table == {}


def test_a_context_hands_out_copies_of_its_tables():
    context = Context(5, 0)
    context.sends[1], context.recvs[2] = "send", "recv"
    context.known.add(3)
    assert context._context_id() == 5
    for table, own in (
        (context._send_functions(), context.sends),
        (context._recv_functions(), context.recvs),
        (context._known_worker_ids(), context.known),
    ):
        assert table == own
        assert table is not own
