"""Workers that hang, die late or fork: calls and shutdown end in bounded time and name them."""

import atexit
import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import ContextError, ForkedProcessError, RpcTimeout, WorkerDied, WorkerHung
from nbgrad.rpc import hung, state
from nbgrad.shm import arena, words
from nbgrad.shm.binding import block_of
from nbgrad.shm.layout import LEAVING, STATE
from tests.groups import eventually, fresh
from tests.signals import signals_to

BOUND_S = 3.0  # more than any of the timeouts below, and their bookkeeping, on a busy machine


def error_of(function, *args, **kwargs):
    """What it raises, as (type, text, seconds)."""
    start = time.monotonic()
    try:
        function(*args, **kwargs)
    except Exception as error:
        return type(error), str(error), time.monotonic() - start
    return None, "", time.monotonic() - start


# ------------------------------------------------------------ SIGSTOP


def call_the_stopped(pid):
    """Worker 1 is stopped: what a call to it gives, whether worker 2 still answers, and what shutdown gives."""
    with signals_to(pid) as send:
        send(signal.SIGSTOP)
        called = error_of(rpc.rpc_sync, 1, abs, (-1,), timeout=0.3)
        other = rpc.rpc_sync(2, abs, (-1,))
        left = error_of(rpc.shutdown, timeout=0.3)
        send(signal.SIGCONT)
    return called, other, left, rpc._is_current_rpc_agent_set()


def test_a_stopped_worker_holds_up_nobody_for_longer_than_the_timeouts(nothing_left):
    with fresh(3) as group:
        pid = group.context.pids()[1]
        called, other, left, is_in_group = group.call(call_the_stopped, pid)
        assert called[0] is WorkerHung
        assert "abs on worker 'worker1'" in called[1]
        assert (
            f"Worker 'worker1' (pid {pid}) is stopped by a signal: `kill -CONT {pid}`" in called[1]
        )
        assert 0.3 <= called[2] < BOUND_S
        assert other == 1
        assert left[0] is WorkerHung
        assert f"(pid {pid}) is stopped" in left[1]
        assert 0.3 <= left[2] < BOUND_S
        assert not is_in_group
        group.is_broken = True


def pass_over_the_stopped(pid):
    """Worker 2, which worker 1 waits for, is stopped during a pass of this worker; then it goes on."""
    x = nb.ones(3, requires_grad=True)
    with dist_autograd.context() as context_id, signals_to(pid) as send:
        loss = rpc.rpc_sync(1, pass_on, (x,)).sum()
        send(signal.SIGSTOP)
        failed = error_of(dist_autograd.backward, context_id, [loss], timeout=0.3)
        met = error_of(rpc._all_gather, 1, timeout=0.3)
        send(signal.SIGCONT)
        again = rpc.rpc_sync(1, pass_on, (x,)).sum()
        dist_autograd.backward(context_id, [again])
        return failed, met, dist_autograd.get_gradients(context_id)[x].tolist()


def pass_on(x):
    return rpc.rpc_sync(2, nb.add, (x, x))


def test_a_pass_that_is_late_names_the_stopped_worker_and_the_next_one_is_well(nothing_left):
    with fresh(3) as group:
        pid = group.context.pids()[2]
        failed, met, gradient = group.call(pass_over_the_stopped, pid)
        assert failed[0] is met[0] is WorkerHung
        assert f"Worker 'worker2' (pid {pid}) is stopped by a signal" in failed[1]
        assert f"Worker 'worker2' (pid {pid}) is stopped by a signal" in met[1]
        assert failed[2] < BOUND_S
        assert gradient == [2, 2, 2]


def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_worker_that_computes_is_slow_and_not_hung(group2):
    found = group2.call(error_of, rpc.rpc_sync, 1, compute, (0.3,), None, 0.1)
    assert found[0] is RpcTimeout


def test_a_process_without_state():
    assert hung.state_of(0) == ""
    assert hung.stopped(SimpleNamespace(names=["a"], pid=lambda rank: os.getpid())) == ""


def fill_the_ring_of_the_stopped(pid):
    """Calls to a stopped worker until one finds no room, a large one, and what comes after the worker goes on."""
    with dist_autograd.context() as context_id:
        x = nb.ones(1, requires_grad=True)
        rpc.rpc_sync(1, nb.mul, args=(x, x))
        with signals_to(pid) as send:
            send(signal.SIGSTOP)
        found = fill_and_go_on()
        start = time.monotonic()
    assert time.monotonic() - start < BOUND_S, (
        "the release of a context waited for the stopped worker"
    )
    with signals_to(pid) as send:
        send(signal.SIGCONT)
    with pytest.raises(ContextError):
        dist_autograd.get_gradients(context_id)
    assert eventually(lambda: not rpc.rpc_sync(1, n_contexts))
    after = rpc.rpc_sync(1, len, (bytes(100_000),)), rpc.rpc_sync(1, unfinished_transfers)
    return *found, after


def n_contexts():
    return dist_autograd._get_debug_info()["num_autograd_contexts"]


def fill_and_go_on():
    futures, longest = [], 0.0
    while longest < 0.2 and len(futures) < 1000:
        start = time.monotonic()
        futures.append(rpc.rpc_async(1, abs, (-1,), timeout=0.3))
        longest = time.monotonic() - start
    large = error_of(rpc.rpc_sync, 1, len, (bytes(100_000),), timeout=0.3)
    kinds = {error_of(future.wait)[0] for future in futures}
    new = error_of(rpc.rpc_sync, 1, max, (1, 2), timeout=0.3)  # the first call of a function
    other = rpc.rpc_sync(2, abs, (-1,))
    return len(futures), longest, large, kinds, new, other


def unfinished_transfers():
    return len(state.agent().transfers.pieces)


def test_a_call_that_finds_no_room_ends_in_time(nothing_left):
    with fresh(3, ring_capacity=1 << 13) as group:
        n, longest, large, kinds, new, other, after = group.call(
            fill_the_ring_of_the_stopped, group.context.pids()[1]
        )
        assert n < 1000
        assert longest < BOUND_S
        assert issubclass(large[0], RpcTimeout)
        assert large[2] < BOUND_S
        assert issubclass(new[0], RpcTimeout)
        assert new[2] < BOUND_S
        assert all(issubclass(kind, RpcTimeout) for kind in kinds)
        assert other == 1
        assert after == (100_000, 0)  # and nothing is left of what was given up


# ------------------------------------------------------------ kill -9 inside of shutdown


def kill_in_shutdown(pid):
    """Worker 1, which serves inside its shutdown, is killed; then this worker's shutdown."""
    agent = state.agent()
    word = agent.binding.worker(1) + STATE
    assert eventually(lambda: words.load(word) == LEAVING)
    with signals_to(pid) as send:
        send(signal.SIGKILL)
    return error_of(rpc.shutdown)


def test_a_worker_killed_in_its_shutdown_is_named_by_that_of_the_others(nothing_left):
    with fresh(2) as group:
        kind, text, seconds = group.call(kill_in_shutdown, group.context.pids()[1])
        assert kind is WorkerDied
        assert "worker 'worker1' (rank 1" in text
        assert "SIGKILL" in text
        assert seconds < BOUND_S
        group.is_broken = True


# ------------------------------------------------------------ fork


def use_group_in_child(x, pending):
    """A child that was forked from this worker tries everything, drops its arrays, and ends; what it was told."""
    held = arena.holders(block_of(x))
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        told = [
            error_of(function, *args)[0] is ForkedProcessError
            for function, args in (
                (rpc.rpc_sync, (1, abs, (-1,))),
                (rpc.rpc_async, (1, abs, (-1,))),
                (rpc.remote, (1, abs, (-1,))),
                (rpc.shutdown, ()),
                (pending.wait, ()),
            )
        ]
        told.append(not x.flags.writeable or not x.fill(4))
        del x
        os.write(sending, bytes(told))
        os._exit(0)
    os.close(sending)
    told = list(os.read(receiving, 100))
    os.close(receiving)
    return told, os.waitpid(child, 0)[1], arena.holders(block_of(x)) == held


def leave_block_in_child(context_id):
    """A child that leaves the context's block, and then the interpreter, with all of its exit handlers."""
    child = os.fork()
    if child == 0:
        try:
            dist_autograd._release_context(context_id)
        except ForkedProcessError:
            pass
        finally:
            atexit._run_exitfuncs()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


GATE = threading.Event()


def wait_at_gate():
    is_open = GATE.wait(BOUND_S)
    GATE.clear()  # for the next time
    return is_open


def open_gate():
    GATE.set()


def fork_here():
    x = state.agent().binding.empty((1000,), np.dtype("f8"))
    x.fill(3)
    with dist_autograd.context() as context_id:
        pending = rpc.rpc_async(1, wait_at_gate)
        found = use_group_in_child(x, pending)
        leave_block_in_child(context_id)
        rpc.rpc_sync(1, open_gate)
        assert pending.wait()
        y = nb.ones(3, requires_grad=True)
        dist_autograd.backward(context_id, [rpc.rpc_sync(1, nb.sum, (y,))])
        assert dist_autograd.get_gradients(context_id)[y].tolist() == [1, 1, 1]
    return found, rpc.rpc_sync(1, np.sum, (x,)).item()


def test_a_forked_child_is_refused_at_once_and_changes_nothing(group2):
    (told, status, is_held), total = group2.call(fork_here)
    assert told == [1] * 6
    assert status == 0
    assert is_held
    assert total == 3000


# ------------------------------------------------------------ descriptors


def call_without_descriptors():
    """Calls, large tensors and a pass where no descriptor can be opened any more."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.pipe()
        sums = [rpc.rpc_sync(1, nb.sum, (nb.ones(300_000),)).item() for _ in range(3)]
        rref = rpc.remote(1, abs, (-5,))
        return sums, rref.to_here()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_group_that_stands_needs_no_descriptors(group2):
    assert group2.call(call_without_descriptors) == ([300_000.0] * 3, 5)
