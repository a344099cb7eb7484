"""The agent under pressure: nested calls, bursts, tiny rings, full arenas, waiting threads; nothing wedges or is lost."""

import threading
import time

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RpcTimeout
from nbgrad.futures import Future
from nbgrad.rpc import state
from tests.events import PROMPT_S, finish, late, new
from tests.groups import fresh, on_all

TINY_RING = 512  # one message with a small array, or two without
SMALL_ARENA = 1 << 20


def identity(x):
    return x


def add_one(n):
    return n + 1


def count_down(n, world):
    """A chain of nested calls around the group; how many hops."""
    if n == 0:
        return 0
    return 1 + rpc.rpc_sync((rpc.get_worker_info().id + 1) % world, count_down, (n - 1, world))


# ---------------------------------------------------------------- nested calls


def nest(n, world):
    return count_down(n, world)


def nest_many(n_calls, depth, world):
    futures = [rpc.rpc_async(1, count_down, (depth, world)) for _ in range(n_calls)]
    return [future.wait() for future in futures]


@pytest.mark.parametrize("depth", [2, 3, 40])
def test_calls_nest_as_deep_as_they_like(group3, depth):
    assert group3.call(nest, depth, 3) == depth


def test_40_concurrent_nested_calls_a_b_a_b(group2):
    assert group2.call(nest_many, 40, 3, 2) == [3] * 40


def test_200_concurrent_nested_calls_a_b_c_a(group3):
    assert group3.call(nest_many, 200, 2, 3, deadline=60.0) == [2] * 200


# ---------------------------------------------------------------- bursts


def burst(n, size, world):
    """From this worker: n calls to each other one, all under way at once, every answer checked."""
    me = rpc.get_worker_info().id
    data = [np.full(size, k, np.float32) for k in range(n)]
    futures = [
        (k, rpc.rpc_async(rank, identity, (data[k],)))
        for k in range(n)
        for rank in range(world)
        if rank != me
    ]
    return sum(bool((future.wait() == k).all()) for k, future in futures)


def burst_all(n, size, world):
    """Every worker bursts at once."""
    futures = [rpc.rpc_async(rank, burst, (n, size, world)) for rank in range(1, world)]
    return [burst(n, size, world), *[future.wait() for future in futures]]


@pytest.mark.parametrize(("n", "size"), [(300, 1), (100, 1000), (30, 100_000)])
def test_all_to_all_bursts(group3, n, size):
    assert group3.call(burst_all, n, size, 3, deadline=60.0) == [2 * n] * 3


def test_all_to_all_bursts_through_rings_of_one_message(nothing_left):
    with fresh(3, ring_capacity=TINY_RING) as group:
        assert group.call(burst_all, 60, 1, 3, deadline=60.0) == [120] * 3
        assert group.call(burst_all, 5, 600, 3, deadline=60.0) == [10] * 3
        assert group.call(nest_many, 40, 3, 3, deadline=60.0) == [3] * 40
        group.check()


def hammer(n_threads, n_calls, world):
    """Many threads of this worker call at once."""
    wrong = []

    def work(number):
        for k in range(n_calls):
            value = 1000 * number + k
            if rpc.rpc_sync(1 + value % (world - 1), add_one, (value,)) != value + 1:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def hammer_from_all(n_threads, n_calls, world):
    futures = [rpc.rpc_async(rank, hammer, (n_threads, n_calls, world)) for rank in range(1, world)]
    return [hammer(n_threads, n_calls, world), *[future.wait() for future in futures]]


def test_60_threads_on_3_workers_call_at_once(group3):
    assert group3.call(hammer_from_all, 20, 30, 3, deadline=60.0) == [[], [], []]


# ---------------------------------------------------------------- large messages, full arenas


def send_large_from_threads(n_threads, n_bytes):
    """Messages larger than a ring from several threads at once: each arrives whole, as itself."""
    wrong = []

    def work(number):
        text = bytes([number]) * n_bytes
        for _ in range(5):
            if rpc.rpc_sync(1, identity, (text,)) != text:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_messages_larger_than_a_ring_from_many_threads(group2):
    assert group2.call(send_large_from_threads, 8, 300_000, deadline=60.0) == []


def fill_arena_and_send():
    """With the arena full, results fall back to private memory and still arrive right."""
    hoard = []
    while len(hoard) < 40:
        hoard.append(nb.ones(1 << 16))  # 256 KiB each
    sums = []
    for k, t in enumerate(hoard):
        back = rpc.rpc_sync(1, add_one, (t * k,))
        sums.append(float(back.sum().item()) == (k + 1) * t.array.size)
    return all(sums)


def test_a_full_arena_falls_back_to_private_memory(nothing_left):
    with fresh(2, arena_bytes=SMALL_ARENA) as group:
        assert group.call(fill_arena_and_send, deadline=60.0)
        group.check()


# ---------------------------------------------------------------- waiting


def set_later(future):
    time.sleep(0.05)
    future.set_result("set")


def wait_for_a_future_of_a_thread():
    future = Future()
    threading.Thread(target=set_later, args=(future,)).start()
    return future.wait()


def test_a_future_set_by_a_thread_wakes_its_waiter(group2):
    assert group2.call(wait_for_a_future_of_a_thread) == "set"


class Gate:
    future = None


def wait_at_gate():
    Gate.future = Future()
    return Gate.future.wait()


def open_gate(value):
    while Gate.future is None:
        time.sleep(0.001)
    Gate.future.set_result(value)
    Gate.future = None


def meet_at_gate():
    """A call there waits for a future that a second call sets: both must run at once."""
    waiting = rpc.rpc_async(1, wait_at_gate)
    rpc.rpc_sync(1, open_gate, (7,))
    return waiting.wait()


def test_a_call_may_wait_for_what_another_call_sets(group2):
    assert group2.call(meet_at_gate) == 7


class Event:
    event = threading.Event()


def wait_for_event():
    return Event.event.wait(10)


def set_event():
    Event.event.set()


def block_outside_nbgrad(n):
    """n calls block in something that nbgrad does not know; the one that ends them must still get through."""
    waiting = [rpc.rpc_async(1, wait_for_event) for _ in range(n)]
    rpc.rpc_sync(1, set_event)
    found = [future.wait() for future in waiting]
    rpc.rpc_sync(1, clear_event)
    return all(found)


def clear_event():
    Event.event.clear()


@pytest.mark.parametrize("n", [1, 6, 12])
def test_calls_that_block_outside_nbgrad_do_not_keep_others_out(group2, n):
    assert group2.call(block_outside_nbgrad, n)


LOCK = threading.Lock()


def hold_lock_and_call():
    with LOCK:
        return rpc.rpc_sync(1, ask_for_lock_without_waiting)


def ask_for_lock_without_waiting():
    pending = rpc.rpc_async(0, take_lock)
    time.sleep(
        0.02
    )  # take_lock lies in worker 0 now, where a thread waits with the lock in its hands
    return not pending.done() and len(Pending.found.append(pending) or Pending.found)


def take_lock():
    with LOCK:
        return "taken"


class Pending:
    found: list = []


def last_pending():
    return Pending.found.pop().wait()


def lock_across_a_call():
    first = hold_lock_and_call()
    return first, rpc.rpc_sync(1, last_pending)


def test_a_waiting_thread_runs_no_user_code_that_may_need_it(group2):
    assert group2.call(lock_across_a_call) == (1, "taken")


# ---------------------------------------------------------------- timeouts


def sleep_and_return(seconds):
    time.sleep(seconds)
    return "late"


def time_out():
    start = time.monotonic()
    try:
        rpc.rpc_sync(1, late, (name := new(),), timeout=0.05)
    except RpcTimeout as error:
        seconds = time.monotonic() - start
        rpc.rpc_sync(1, finish, (name,))
        return str(error), seconds
    return None


def test_a_call_times_out_and_says_what_it_was(group2):
    text, seconds = group2.call(time_out)
    assert "RPC ran for more than set timeout (50 ms)" in text
    assert "late on worker 'worker1'" in text
    assert seconds < PROMPT_S
    assert group2.call(identity, 1) == 1


def time_out_in_order():
    """A short timeout set behind a long one is not forgotten."""
    start, name = time.monotonic(), new()
    long = rpc.rpc_async(1, late, (name,), timeout=60)
    short = rpc.rpc_async(1, late, (name,), timeout=0.05)
    try:
        short.wait()
    except RpcTimeout:
        seconds = time.monotonic() - start
        is_first = not long.done()
        rpc.rpc_sync(1, finish, (name,))
        return seconds, is_first, long.wait()
    return None


def test_timeouts_end_in_their_own_order(group2):
    seconds, is_first, was_finished = group2.call(time_out_in_order)
    assert seconds < PROMPT_S
    assert is_first
    assert was_finished


def no_timeout():
    return rpc.rpc_sync(1, sleep_and_return, (0.3,), timeout=0)


def default_timeout():
    before = rpc.get_rpc_timeout()
    rpc._set_rpc_timeout(0.05)
    try:
        rpc.rpc_sync(1, sleep_and_return, (0.2,))
    except RpcTimeout:
        return "timed out", no_timeout()
    finally:
        rpc._set_rpc_timeout(before)


def test_the_default_timeout_and_none(group2):
    assert group2.call(default_timeout) == ("timed out", "late")


# ---------------------------------------------------------------- to oneself, statistics


def to_self():
    x = np.arange(5.0)
    y = rpc.rpc_sync(0, identity, (x,))
    y[0] = 100.0
    return x[0], y[0], rpc.rpc_sync("worker0", count_down, (2, 1))


def refuses_as_default(seconds):
    before = rpc.get_rpc_timeout()
    try:
        rpc._set_rpc_timeout(seconds)
    except (ValueError, TypeError) as error:
        return str(error), rpc.get_rpc_timeout() == before
    return None


@pytest.mark.parametrize("seconds", [-3, float("nan"), "5", None])
def test_a_default_timeout_that_is_none_is_refused(group2, seconds):
    text, is_unchanged = group2.call(refuses_as_default, seconds)
    assert f"rpc_timeout is {seconds!r}" in text
    assert is_unchanged


def to_self_without_slices():
    """Seconds for 20 calls to oneself while no wait ends by time."""
    agent, serving = state.agent(), state.agent().serving
    serving.slice = lambda is_first=False: 2_000_000_000
    start = time.monotonic()
    try:
        for k in range(20):
            agent.last_message = (
                time.monotonic()
            )  # a near deadline: no first slice of another length
            assert rpc.rpc_sync(0, identity, (k,), timeout=0.9) == k
    finally:
        del serving.slice
    return time.monotonic() - start


def test_an_answer_to_oneself_wakes_its_waiter(group2):
    """(!) No bell rang for it, so each call lasted until the slice ended: 5 ms at least."""
    assert group2.call(to_self_without_slices) < 1.0


def test_calls_to_oneself_copy_and_nest(group2):
    assert group2.call(to_self) == (0.0, 100.0, 2)


def bytes_sent(n):
    x = nb.ones(n)
    before = rpc.statistics()
    rpc.rpc_sync(1, float_sum, (x,))
    after = rpc.statistics()
    return (
        after.bytes_copied - before.bytes_copied,
        after.bytes_zero_copy - before.bytes_zero_copy,
    )


def float_sum(t):
    return float(t.sum().item())


def test_large_tensors_are_not_copied(group2):
    assert group2.call(bytes_sent, 1 << 18) == (0, 1 << 20)
    copied, zero_copy = group2.call(bytes_sent, 16)
    assert (copied, zero_copy) == (64, 0)


def n_waiting():
    return state.agent().serving.n_waiting


def send_what_numpy_can_write(n):
    x = nb.ones(n) + 0.0
    array = x.numpy()
    found = rpc.rpc_sync("worker1", float_sum, (x,), timeout=5)
    array[:] = 0
    return found


@pytest.mark.parametrize("n", [2_000, 1 << 18])
def test_a_tensor_that_numpy_can_write_is_copied(group2, n):
    """(!) A large one hung its sender: it was neither copied into the message nor sent in place."""
    assert group2.call(send_what_numpy_can_write, n) == n


def test_waiting_threads_are_counted_back(group2):
    group2.call(nest_many, 10, 3, 2)
    assert group2.call(on_all, n_waiting) == [0, 0]
