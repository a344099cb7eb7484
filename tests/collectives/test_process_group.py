"""ProcessGroup while it waits: differences, late members, deaths, Ctrl-C, members that leave; and threads that take turns."""

import logging
import os
import signal
import threading
import time
from multiprocessing import get_context

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.errors import CollectiveTimeout, MemberHung, ProcessException, WorkerHung
from nbgrad.logs import logger
from nbgrad.rpc import state
from tests.collectives.everywhere import error_of, everywhere
from tests.signals import signals_to

BIG = 100_000  # elements: more than a box, and born in the segment


# ---------------------------------------------------------------- differences


def differ(rank, world, what):
    x, y = nb.ones(3, 4), nb.ones(4, 3)
    calls = {
        "shape": lambda: dist.all_reduce(y if rank == 1 else x),
        "dtype": lambda: dist.all_reduce(x.double() if rank == 1 else x),
        "operation": lambda: dist.all_reduce(
            x, dist.ReduceOp.MAX if rank == 1 else dist.ReduceOp.SUM
        ),
        "collective": lambda: dist.barrier() if rank == 1 else dist.all_reduce(x),
        "source": lambda: dist.broadcast(x, 1 if rank == 1 else 0),
        "size": lambda: dist.all_reduce(nb.ones(BIG) if rank == 1 else x),
        "large": lambda: dist.all_reduce(nb.ones(BIG + (rank == 1))),
        "list": lambda: (
            dist.scatter(x, [x] * world if rank == 0 else None, 0)
            if rank != 1
            else dist.gather(x, None, 0)
        ),
    }
    found = error_of(calls[what])
    assert (x.array == 1).all()
    for _ in range(3):
        dist.all_reduce(y)  # the group goes on
    assert (y.array == world**3).all()
    return found


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("shape", "all_reduce(SUM) of float32, shape (3, 4)", "all_reduce(SUM) of float32, shape (4, 3)"),
        ("dtype", "of float32", "of float64"),
        ("operation", "all_reduce(SUM)", "all_reduce(MAX)"),
        ("collective", "all_reduce(SUM) of float32, shape (3, 4)", "barrier."),
        ("source", "broadcast(src=0)", "broadcast(src=1)"),
        ("size", "shape (3, 4)", f"shape ({BIG},)"),
        ("large", f"shape ({BIG},)", f"shape ({BIG + 1},)"),
        ("list", "scatter(src=0)", "gather(dst=0)"),
    ],
)  # fmt: skip
def test_differences_are_named_on_all_ranks(group3, what, first, second):
    for kind, text in group3.call(everywhere, differ, what):
        assert kind == "DesyncError"
        assert f"rank 0 runs {first}" in text or first in text.split("rank 1")[0]
        assert second in text.split("rank 1")[1]


# ---------------------------------------------------------------- late


def late(rank, world, n):
    """Rank 1 never comes to the second collective of this group."""
    group = dist.new_group(timeout=0.3)
    dist.all_reduce(nb.ones(2), group=group)
    if rank != 1:
        first = error_of(dist.all_reduce, nb.ones(n), group=group)
        second = error_of(dist.all_reduce, nb.ones(n), group=group)
    else:
        first = second = None
    dist.barrier()  # the default group is not touched
    if rank == 1:  # the others had arrived in this one, before they gave up
        first = error_of(dist.all_reduce, nb.ones(n), group=group)
        second = error_of(dist.all_reduce, nb.ones(n), group=group)
    dist.barrier()
    return first, second


@pytest.mark.parametrize("n", [2, BIG])
def test_who_is_late_is_named_and_told(group3, n):
    found = group3.call(everywhere, late, n)
    for rank in (0, 2):
        (kind, text), again = found[rank]
        if kind == "CollectiveTimeout":
            assert "has waited 0.3 s in all_reduce(SUM) of float32" in text
            assert "for rank 1 (last: all_reduce(SUM) of float32, shape (2,))" in text
        else:  # the other one was the first to give up
            assert "has given up" in text
        assert again[0] == "ProcessGroupError"
        assert "make a new group" in again[1]
    assert "CollectiveTimeout" in [found[rank][0][0] for rank in (0, 2)]
    assert found[1][0] is None or "has given up" in found[1][0][1]
    kind, text = found[1][1]
    assert kind == "ProcessGroupError"
    assert "has given up" in text or "gave up" in text


def stops_another(rank, world):
    """Rank 0 waits for rank 1, which is stopped, in a collective and in a recv of groups of their own; then it goes on."""
    groups = [dist.new_group(timeout=0.3) for _ in range(2)]
    dist.barrier()
    found = None
    if rank == 0:
        pid = state.agent().session.pid(1)
        with signals_to(pid) as send:
            send(signal.SIGSTOP)
            try:
                found = (
                    pid,
                    error_of(dist.all_reduce, nb.ones(2), group=groups[0]),
                    error_of(dist.recv, nb.ones(2), 1, group=groups[1]),
                )
            finally:
                send(signal.SIGCONT)
    dist.barrier()
    return found


def test_a_stopped_member_is_named(group3):
    pid, *errors = group3.call(everywhere, stops_another)[0]
    for kind, text in errors:
        assert kind == "MemberHung"
        assert "has waited" in text
        assert f"Worker 'worker1' (pid {pid}) is stopped by a signal: `kill -CONT {pid}`" in text
    assert issubclass(MemberHung, CollectiveTimeout)
    assert issubclass(MemberHung, WorkerHung)


def waits_long(rank, world):
    """Rank 0 waits for a while, and what it logs meanwhile."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    group = dist.new_group()
    group.warning_s = 0.05
    logger.addHandler(handler)
    try:
        if rank == 1:
            threading.Event().wait(0.4)
        dist.barrier(group)
    finally:
        logger.removeHandler(handler)
    return lines


def test_a_long_wait_says_what_it_waits_for(group2):
    waited, slow = group2.call(everywhere, waits_long)
    assert slow == []
    assert 1 <= len(waited) <= 4  # twice as long each time
    assert "in barrier of the process group" in waited[0]
    assert "for rank 1 (last: new_group)" in waited[0]


def leaves(rank, world):
    group = dist.new_group()
    dist.barrier(group)
    if rank == 1:
        dist.destroy_process_group(group)
        return None
    return error_of(dist.all_reduce, nb.ones(2), group=group)


def test_a_member_that_has_left_is_named(group2):
    kind, text = group2.call(everywhere, leaves)[0]
    assert kind == "ProcessGroupError"
    assert "rank 1 has left the process group" in text


# ---------------------------------------------------------------- deaths and signals


def waits_for_the_dead(index, n, queue):
    dist.init_process_group("gloo", rank=index, world_size=3)
    x = nb.ones(n)
    dist.all_reduce(x)
    dist.barrier()
    if index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    start = time.monotonic()
    found = error_of(dist.all_reduce, x)
    queue.put((index, time.monotonic() - start, found))


@pytest.mark.parametrize("n", [2, BIG])
def test_a_death_is_told_to_all(nothing_left, n):
    queue = get_context("spawn").SimpleQueue()
    with pytest.raises(ProcessException, match="signal SIGKILL"):
        nb.multiprocessing.spawn(waits_for_the_dead, (n, queue), nprocs=3)
    for index, seconds, (kind, text) in sorted(queue.get() for _ in range(2)):
        assert kind == "WorkerDied"
        assert "rank 2" in text
        assert "SIGKILL" in text
        assert "all_reduce(SUM)" in text
        assert seconds < 5, index
    queue.close()


def killed_inside(index, seed, n):
    """Rank 1 is killed at some moment of a stream of collectives."""
    dist.init_process_group("gloo", rank=index, world_size=2)
    x, y = nb.ones(n), nb.ones(3)
    dist.all_reduce(x)
    if index == 1:
        timer = threading.Timer(0.001 * (seed % 7), os.kill, (os.getpid(), signal.SIGKILL))
        timer.start()
    while True:
        dist.all_reduce(x, dist.ReduceOp.MAX)
        dist.broadcast(y, 0)
        dist.barrier()


@pytest.mark.parametrize(
    "seed", [*range(4), *[pytest.param(k, marks=pytest.mark.slow) for k in range(4, 60)]]
)
def test_a_kill_at_any_moment_ends_the_group(nothing_left, seed):
    start = time.monotonic()
    with pytest.raises(ProcessException, match="process 1 terminated with signal SIGKILL"):
        nb.multiprocessing.spawn(killed_inside, (seed, (3, BIG)[seed % 2]), nprocs=2)
    assert time.monotonic() - start < 20


def test_ctrl_c_ends_a_wait(nothing_left):
    context = get_context("spawn")
    queue, done = context.SimpleQueue(), context.Event()
    nb.multiprocessing.spawn(interrupted_wait, (queue, done), nprocs=2)
    assert queue.get() < 2
    assert "gave up a collective" in queue.get()
    queue.close()


def interrupted_wait(index, queue, done):
    dist.init_process_group("gloo", rank=index, world_size=2, timeout=20)
    dist.barrier()
    if index == 1:
        assert done.wait(20)
        dist.monitored_barrier()  # the other one had arrived in it, before it gave up
        kind, text = error_of(dist.barrier)
        assert (kind, "has given up" in text or "has left" in text) == ("ProcessGroupError", True)
        return
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        dist.monitored_barrier()
    except KeyboardInterrupt:
        queue.put(time.monotonic() - start)
    queue.put(error_of(dist.barrier)[1])
    done.set()


def forked(index):
    dist.init_process_group("gloo", rank=index, world_size=2)
    dist.barrier()
    child = os.fork()
    if child == 0:
        found = [error_of(dist.all_reduce, nb.ones(2)), error_of(dist.barrier)]
        os._exit(0 if all(f and f[0] == "ForkedProcessError" for f in found) else 1)
    assert os.waitpid(child, 0)[1] == 0
    dist.barrier()


def test_a_forked_child_is_refused(nothing_left):
    nb.multiprocessing.spawn(forked, nprocs=2)


# ---------------------------------------------------------------- threads


def by_threads(rank, world, n):
    """Many threads of a process use groups of their own, and one group in turns."""
    groups = [dist.new_group() for _ in range(4)]
    errors = []

    def body(k):
        try:
            for step in range(n):
                x = nb.ones(3 if step % 2 else 20_000) * (step + 1)
                dist.all_reduce(x, group=groups[k])
                assert (x.array == world * (step + 1)).all()
                y = nb.ones(2)
                dist.all_reduce(
                    y
                )  # the same on all ranks and in all threads, so the order does not matter
                assert (y.array == world).all()
        except BaseException as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=body, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_threads_take_turns(group2):
    assert group2.call(everywhere, by_threads, 40) == [[], []]


def hammered(rank, world, n):
    """A stream of collectives of changing kinds and sizes, checked each time."""
    rng = np.random.default_rng(7)  # the same on all ranks
    for step in range(n):
        size = int(rng.choice([1, 7, 90, 3000, 20_000, 70_000]))
        kind = rng.integers(4)
        root = int(rng.integers(world))
        x = nb.full((size,), float(rank + 1 + step))
        if kind == 0:
            dist.all_reduce(x)
            assert (x.array == sum(p + 1 + step for p in range(world))).all()
        elif kind == 1:
            dist.broadcast(x, root)
            assert (x.array == root + 1 + step).all()
        elif kind == 2:
            out = nb.zeros(world, size)
            dist.all_gather_into_tensor(out, x)
            assert (out.array == np.arange(world)[:, None] + 1 + step).all()
        else:
            dist.reduce(x, root, dist.ReduceOp.MAX)
            assert rank != root or (x.array == world + step).all()
    return n


@pytest.mark.parametrize("n", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_stream_of_collectives(group3, n):
    assert group3.call(everywhere, hammered, n, deadline=20 + n / 100) == [n] * 3
