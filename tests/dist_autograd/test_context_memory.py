"""Contexts and passes in great numbers leave everything where it was: memory, descriptors, blocks of the arena, rows."""

import gc

import psutil
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.context import thread
from nbgrad.rpc import state
from nbgrad.shm import arena, words
from tests.groups import eventually, on_all

LONG = [pytest.mark.slow, pytest.mark.timeout(600)]


def mul(x, y):
    return x * y


def n_open():
    return dist_autograd._get_debug_info()["num_autograd_contexts"]


def all_closed():
    return on_all(n_open) == [0] * state.agent().world


def many_open(n, every):
    """n contexts of one worker, all open at once; a pass in each one of `every`."""
    x = nb.ones(1, requires_grad=True)
    opened = []
    for k in range(n):
        context = dist_autograd._new_context()
        loss = rpc.rpc_sync(1, mul, (x * k, x)).sum()
        opened.append((context.id, loss))
        thread.context = None
    for k, (context_id, loss) in enumerate(opened):
        if k % every == 0:
            dist_autograd.backward(context_id, [loss])
            if dist_autograd.get_gradients(context_id)[x].item() != 2.0 * k:
                return k
    there = rpc.rpc_sync(1, n_open)
    for context_id, _ in opened:
        dist_autograd._release_context(context_id)
    return there, eventually(all_closed)


def many_open_twice(n, every):
    """The second time nothing grows but what the allocator of Python keeps."""
    first = many_open(n, every), on_all(figures)
    return first, (many_open(n, every), on_all(figures))


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=LONG)])
def test_10_000_contexts_open_at_once(group2, every):
    (first, before), (second, after) = group2.call(many_open_twice, 10_000, every, deadline=500.0)
    assert first == second == (10_000, True)
    for old, new in zip(before, after, strict=True):
        grown = {name: new[name] - old[name] for name in old}
        assert grown.pop("rss") < 16, grown
        assert grown.pop("context rows") <= 3
        assert grown.pop("pass rows") <= 3
        assert set(grown.values()) == {0}, grown


def figures():
    """What may not grow, of one worker."""
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
        "blocks": sum(size.in_use for size in nb.memory_summary().size_classes),
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


def short_steps(n, size):
    """n contexts, each with a call and a pass."""
    x = nb.ones(size, requires_grad=True)
    for _ in range(n):
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [rpc.rpc_sync(1, mul, (x, x)).sum()])


def measure(kind, n, size):
    kind(max(50, n // 10), size)
    eventually(all_closed)
    before = on_all(figures)
    kind(n, size)
    eventually(all_closed)
    return before, on_all(figures)


@pytest.mark.parametrize(
    ("kind", "n", "size"),
    [
        (short_steps, 10_000, 3),
        (steps, 1000, 3),
        (steps, 60, 100_000),
        pytest.param(steps, 10_000, 3, marks=LONG),
        pytest.param(steps, 3000, 100_000, marks=LONG),
    ],
)
def test_contexts_leave_everything_where_it_was(group2, kind, n, size):
    for before, after in zip(*group2.call(measure, kind, n, size, deadline=500.0), strict=True):
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


@pytest.mark.parametrize("n", [1000, pytest.param(20_000, marks=LONG)])
def test_retained_passes_leave_everything_where_it_was(group2, n):
    before, after, right = group2.call(retained_passes, n, deadline=500.0)
    assert right
    for old, new in zip(before, after, strict=True):
        grown = {name: new[name] - old[name] for name in old}
        assert grown.pop("rss") < 8, grown
        assert set(grown.values()) == {0}, grown


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
