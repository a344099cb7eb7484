"""Nothing wedges: nested calls, bursts through the smallest rings, futures that wait for each other, all bounded.

Each of these ends by itself, in its values or in an error that names who waited for whom, within the deadlines of the fixtures.
"""

import time

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcTimeout
from nbgrad.futures import Future
from nbgrad.rpc import state
from nbgrad.shm import record
from tests.groups import fresh, on_all

N_CALLS = 200
BOUND_S = 5.0  # more than the timeouts below, on a busy machine


def here():
    return state.agent().rank


# ---------------------------------------------------------------- nested calls


def a_b_c_a(n, world):
    """n more calls around the group."""
    return [] if n == 0 else [here(), *rpc.rpc_sync((here() + 1) % world, a_b_c_a, (n - 1, world))]


def nest(n_calls, depth, world):
    futures = [rpc.rpc_async(1, a_b_c_a, (depth, world)) for _ in range(n_calls)]
    return [future.wait() for future in futures]


@pytest.mark.parametrize("depth", [2, 5])
def test_200_concurrent_nested_calls_on_3_workers(group3, depth):
    path = [(1 + k) % 3 for k in range(depth)]
    assert group3.call(nest, N_CALLS, depth, 3) == [path] * N_CALLS


# ---------------------------------------------------------------- the smallest rings


def answer(k):
    return k + 1


def burst(n, world):
    """n calls to each other worker, all under way at once; how many answers are right."""
    others = [rank for rank in range(world) if rank != here()]
    futures = [(k, rpc.rpc_async(rank, answer, (k,))) for k in range(n) for rank in others]
    return sum(future.wait() == k + 1 for k, future in futures)


def burst_all(n, world):
    futures = [rpc.rpc_async(rank, burst, (n, world)) for rank in range(1, world)]
    return [burst(n, world), *[future.wait() for future in futures]]


def smallest_ring():
    """A power of two that holds one record of a call and no second one."""
    size = 64
    while size < 2 * record.LEAST_BYTES:
        size *= 2
    return size


def test_all_to_all_bursts_of_4_workers_through_the_smallest_rings(nothing_left):
    with fresh(4, ring_capacity=smallest_ring()) as group:
        assert group.call(burst_all, 40, 4) == [120] * 4
        assert group.call(nest, 40, 3, 4) == [[1, 2, 3]] * 40
        group.check()


# ---------------------------------------------------------------- futures in circles


class Gates:
    futures: dict = {}

    @classmethod
    def of(cls, key):
        return cls.futures.setdefault(key, Future())


def wait_at(key):
    """Block a thread of this worker until somebody opens the gate."""
    return Gates.of(key).wait()


def open_gate(key, value):
    Gates.of(key).set_result(value)


def clear_gates():
    Gates.futures.clear()


def complete(depth, key):
    """On B: A waits for a future that only this call completes, by calling A; below it the same once more, the other way."""
    other = 1 - here()
    if depth:
        inner = (depth, key)
        waiting = rpc.rpc_async(here(), wait_at, (inner,))
        rpc.rpc_sync(other, complete, (depth - 1, inner))
        assert waiting.wait() == inner
    rpc.rpc_sync(other, open_gate, (key, key))


def wait_for_each_other(n, depth):
    """n futures here, each waited for by a call of its own and completed by B."""
    keys = [f"future {k}" for k in range(n)]
    waiting = [rpc.rpc_async(0, wait_at, (key,)) for key in keys]
    completing = [rpc.rpc_async(1, complete, (depth, key)) for key in keys]
    found = [future.wait() for future in waiting]
    for future in completing:
        future.wait()
    on_all(clear_gates)
    return found == keys


@pytest.mark.parametrize(("n", "depth"), [(1, 0), (1, 6), (30, 3)])
def test_a_future_that_the_other_worker_completes_by_a_call_back(group2, n, depth):
    assert group2.call(wait_for_each_other, n, depth)


@rpc.functions.async_execution
def first(timeout):
    """Done when `second` on worker 2 is, which is done when this is."""
    Gates.of("first").agent = state.agent()
    pending = rpc.rpc_async(2, second, (timeout / 2,), timeout=timeout)
    return pending.then(lambda done: Gates.of("first").set_result(done.value()) or "first")


@rpc.functions.async_execution
def second(timeout):
    pending = rpc.rpc_async(1, of_first, timeout=timeout)
    return pending.then(lambda done: (done.value(), "second"))


@rpc.functions.async_execution
def of_first():
    return Gates.of("first").then(lambda done: done.value())


def first_blocking(timeout):
    """As `first`, with a thread on each worker that waits."""
    return rpc.rpc_sync(2, second_blocking, (timeout / 2,), timeout=timeout)


def second_blocking(timeout):
    return rpc.rpc_sync(1, wait_at, ("never",), timeout=timeout)


def circle(function):
    """The error of two calls of which each waits for the other, what caused it, and how long it took."""
    start = time.monotonic()
    with pytest.raises(RpcTimeout) as caught:
        rpc.rpc_sync(1, function, (0.6,), timeout=10)
    took_s = time.monotonic() - start
    rpc.rpc_sync(1, open_gate, ("never", None))  # the thread that still waits there
    on_all(clear_gates)
    causes, error = [], caught.value
    while error is not None:
        causes.append(str(error))
        error = error.__cause__
    return "\n".join(causes), took_s


@pytest.mark.parametrize(("function", "other"), [(first, "of_first"), (first_blocking, "wait_at")])
def test_two_futures_that_wait_for_each_other_end_in_an_error_that_names_both(
    group3, function, other
):
    text, took_s = group3.call(circle, function)
    assert f"{function.__name__} on worker 'worker1'" in text
    assert f"{other} on worker 'worker1'" in text
    assert function.__name__.replace("first", "second") + " on worker 'worker2'" in text
    assert "RPC ran for more than set timeout (300 ms)" in text
    assert took_s < BOUND_S
