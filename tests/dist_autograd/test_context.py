"""Contexts on their workers: joined, released by anybody, late calls, rows used again, memory where it was."""

import gc
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.context import Context, Contexts, thread
from nbgrad.errors import ContextError
from nbgrad.rpc import state
from nbgrad.shm import arena, words
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


# ---------------------------------------------------------------- many at once, again and again


def many_open(n):
    """Contexts of one worker, all open at once."""
    x = nb.ones(1, requires_grad=True)
    opened = []
    for k in range(n):
        context = dist_autograd._new_context()
        loss = rpc.rpc_sync(1, mul, (x * k, x)).sum()
        opened.append((context.id, loss))
        thread.context = None
    for k, (context_id, loss) in enumerate(opened):
        dist_autograd.backward(context_id, [loss])
        if dist_autograd.get_gradients(context_id)[x].item() != 2.0 * k:
            return k
    there = rpc.rpc_sync(1, n_open)
    for context_id, _ in opened:
        dist_autograd._release_context(context_id)
    return there, eventually(all_closed)


def test_many_contexts_open_at_once(group2):
    assert group2.call(many_open, 1500, deadline=60.0) == (1500, True)


def figures():
    """What may not grow: (contexts, free and used rows, MiB of this process, blocks of the arena in use)."""
    gc.collect()
    agent = state.agent()
    contexts = agent.contexts
    used = contexts.n_rows - len(contexts.free)
    rows = agent.engine.n_rows - len(agent.engine.free)
    process = psutil.Process()
    return {
        "contexts": len(contexts.table),
        "context rows": used,
        "pass rows": rows,
        "arena": arena.committed(agent.binding.arena),
        "descriptors": process.num_fds(),
        "rss": process.memory_info().rss >> 20,
        "leaves": len(agent.futures),
    }


def steps(n, size):
    """n contexts, each with calls, two passes and gradients."""
    x, y = nb.ones(size, requires_grad=True), nb.ones(size, requires_grad=True)
    for _ in range(n):
        with dist_autograd.context() as context_id:
            h = rpc.rpc_sync(1, mul, (x, y))
            rpc.rpc_sync(1, mul, (y, y))  # unused
            dist_autograd.backward(context_id, [(h * x).sum()], retain_graph=True)
            dist_autograd.backward(context_id, [(h * y).sum()])
            dist_autograd.get_gradients(context_id)


def measure(n, size):
    steps(max(50, n // 10), size)
    eventually(all_closed)
    before = on_all(figures)
    steps(n, size)
    eventually(all_closed)
    return before, on_all(figures)


@pytest.mark.parametrize(("n", "size"), [(2000, 3), (60, 100_000)])
def test_contexts_leave_everything_where_it_was(group2, n, size):
    for before, after in zip(*group2.call(measure, n, size, deadline=100.0), strict=True):
        grown = {name: after[name] - before[name] for name in before}
        assert grown.pop("rss") < 8, grown
        assert grown.pop("arena") <= 0 if size > 10 else grown.pop("arena") == 0
        assert grown.pop("context rows") <= 3
        assert grown.pop("pass rows") <= 3
        assert set(grown.values()) == {0}, grown


def retained_passes(n):
    x, y = nb.ones(20_000, requires_grad=True), nb.ones(20_000, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, mul, (x, y)).sum()
        for _ in range(n // 10):
            dist_autograd.backward(context_id, [loss], retain_graph=True)
        before = on_all(figures)
        for _ in range(n):
            dist_autograd.backward(context_id, [loss], retain_graph=True)
        after = on_all(figures)
        gradient = dist_autograd.get_gradients(context_id)[x].array[0]
    return before, after, gradient == n + n // 10


def test_1000_retained_passes_leave_everything_where_it_was(group2):
    before, after, right = group2.call(retained_passes, 1000, deadline=100.0)
    assert right
    for old, new in zip(before, after, strict=True):
        grown = {name: new[name] - old[name] for name in old}
        assert grown.pop("rss") < 8, grown
        assert set(grown.values()) == {0}, grown


# ---------------------------------------------------------------- one part of a context


def test_a_release_that_meets_the_first_message_leaves_no_ghost(monkeypatch):
    session = SimpleNamespace(
        segment=SimpleNamespace(address=0), layout=SimpleNamespace(context_row=lambda *_: 0)
    )
    agent = SimpleNamespace(rank=1, session=session, on=lambda *_: None)
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


def bump():
    """How much of this worker's arena has ever been used."""
    arena_address = state.agent().binding.arena
    return words.load(arena_address + arena.BUMP)


def collector(enabled):
    (gc.enable if enabled else gc.disable)()


def passes_without_collector():
    def one():
        x = (nb.ones(1 << 16) * 2).detach().requires_grad_()
        with dist_autograd.context() as context_id:
            loss = rpc.rpc_sync(1, nb.mul, (x, x)).sum()
            dist_autograd.backward(context_id, [loss])
            return dist_autograd.get_gradients(context_id)[x].sum().item()

    for rank in range(2):
        rpc.rpc_sync(rank, collector, (False,))
    try:
        for _ in range(8):
            one()
        before = [rpc.rpc_sync(rank, bump) for rank in range(2)]
        sums = {one() for _ in range(30)}
        return sums, before, [rpc.rpc_sync(rank, bump) for rank in range(2)]
    finally:
        for rank in range(2):
            rpc.rpc_sync(rank, collector, (True,))


def test_blocks_come_back_without_the_collector(group2):
    """What a worker was sent for a context goes back with its release, not when Python finds cycles."""
    sums, before, after = group2.call(passes_without_collector)
    assert sums == {4.0 * (1 << 16)}
    grown = [(b - a) / (4 << 16) for a, b in zip(before, after)]
    assert max(grown) <= 4, f"the arenas grew by {grown} arrays in 30 contexts"
