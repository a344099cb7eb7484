"""A caller waits while too many of its calls lie at a worker, and never for what only it could bring about."""

import contextlib
import ctypes
import os
import tempfile
import threading
import time

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RpcEncodeError, RpcTimeout, WorkerDied
from nbgrad.futures import Future
from nbgrad.rpc import state
from tests import groups
from tests.events import PROMPT_S

LIMIT = 4


@pytest.fixture(scope="module")
def narrow():
    """Two workers, of which each lets at most LIMIT calls of the other lie."""
    with groups.fresh(2, options={"max_queued_calls": LIMIT}) as group:
        yield group


def pressure():
    return state.agent().calls.pressure


def nothing():
    return None


def hold_gil(ms):
    """Nothing else happens in this worker for so long."""
    ctypes.PyDLL(None).usleep(ms * 1000)


def hold_gil_until_told(path):
    """Nothing else happens in this worker until somebody writes into the pipe."""
    pipe = os.open(path, os.O_RDONLY)
    ctypes.PyDLL(None).read(pipe, ctypes.create_string_buffer(1), 1)
    os.close(pipe)


@contextlib.contextmanager
def standstill():
    """Nothing happens in worker 1."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(path := f"{folder}/pipe")
        busy = rpc.rpc_async(1, hold_gil_until_told, args=(path,))
        pipe = os.open(path, os.O_WRONLY)  # once the other has opened it
        try:
            assert groups.eventually(lambda: pressure().queued(1) == 0)
            yield
        finally:
            os.write(pipe, b"go on")
            os.close(pipe)
        busy.wait()


def send_to(worker, n):
    """(most that lay there at any time, times waited, results) of `n` calls sent at once."""
    most, before, futures = 0, pressure().n_waits[worker], []
    for k in range(n):
        futures.append(rpc.rpc_async(worker, abs, args=(-k,)))
        most = max(most, pressure().queued(worker))
    return most, pressure().n_waits[worker] - before, [future.wait() for future in futures]


def send_to_a_slow_worker():
    busy = rpc.rpc_async(1, hold_gil, args=(100,))
    found = send_to(1, 50)
    busy.wait()
    return found, pressure().waited_s[1]


def test_a_slow_worker_gets_no_more_than_the_limit(narrow):
    (most, n_waits, results), waited_s = narrow.call(send_to_a_slow_worker)
    assert 0 < most <= LIMIT
    assert n_waits > 0
    assert 0 < waited_s < 20
    assert results == list(range(50))


def test_without_the_limit_it_gets_all(group2):
    (most, n_waits, results), _ = group2.call(send_to_a_slow_worker)
    assert most > LIMIT
    assert n_waits == 0
    assert results == list(range(50))


def test_calls_to_oneself_are_bounded_too(narrow):
    most, _, results = narrow.call(send_to, 0, 50)
    assert most <= LIMIT
    assert results == list(range(50))


def forth_and_back(depth):
    return (
        0 if depth == 0 else 1 + rpc.rpc_sync(1 - state.agent().rank, forth_and_back, (depth - 1,))
    )


def nest(n, depth):
    futures = [rpc.rpc_async(1, forth_and_back, args=(depth,)) for _ in range(n)]
    return [future.wait() for future in futures]


def test_nested_calls_do_not_wait_for_room_that_only_they_make(narrow):
    assert narrow.call(nest, 40, 5) == [5] * 40


class Batch:
    """Calls that are answered when all have come, as in a parameter server that updates once per batch."""

    lock = threading.Lock()
    waiting: list = []


@rpc.functions.async_execution
def join_batch(size):
    future = Future()
    with Batch.lock:
        Batch.waiting.append(future)
        batch = list(Batch.waiting) if len(Batch.waiting) == size else []
        if batch:
            Batch.waiting.clear()
    for member in batch:
        member.set_result(size)
    return future


def meet(size):
    futures = [rpc.rpc_async(1, join_batch, args=(size,)) for _ in range(size)]
    return [future.wait() for future in futures]


def test_calls_that_answer_only_when_all_have_come_finish(narrow):
    assert narrow.call(meet, 10 * LIMIT) == [10 * LIMIT] * (10 * LIMIT)


def send_with_little_time():
    futures, text = [], None
    with standstill():
        start = time.monotonic()
        try:
            for _ in range(1000):
                futures.append(rpc.rpc_async(1, nothing, timeout=0.1))
        except RpcTimeout as error:
            text = str(error)
        took_s = time.monotonic() - start
    for future in futures:
        try:
            future.wait()
        except RpcTimeout:  # sent in time, and late
            pass
    return text, took_s


def test_who_waits_for_room_too_long_is_told_which_worker_is_slow(narrow):
    text, took_s = narrow.call(send_with_little_time)
    assert "nothing on worker 'worker1' would be one more of 4 calls" in text
    assert "rpc.statistics()" in text
    assert took_s < PROMPT_S


def refused_calls_then_one():
    for _ in range(3 * LIMIT):
        with pytest.raises(RpcEncodeError):
            rpc.rpc_sync(1, abs, args=(threading.Lock(),))
    return rpc.rpc_sync(1, abs, args=(-3,), timeout=5), pressure().queued(1)


def test_calls_that_can_not_be_sent_take_no_room(narrow):
    assert narrow.call(refused_calls_then_one) == (3, 0)


def die_soon():
    hold_gil(100)
    os._exit(3)


def send_until_it_dies():
    rpc.rpc_async(1, die_soon)
    try:
        for _ in range(1000):
            rpc.rpc_async(1, nothing)
    except WorkerDied as error:
        return error.name
    return None


def test_a_death_ends_the_wait_for_room():
    with groups.fresh(2, options={"max_queued_calls": LIMIT}) as group:
        assert group.call(send_until_it_dies) == "worker1"
        group.is_broken = True


@pytest.mark.parametrize("name", ["max_queued_calls", "max_queued_bytes"])
def test_a_limit_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        rpc.TensorPipeRpcBackendOptions(**{name: 0})


# ---------------------------------------------------------------- bytes

MOST_BYTES = 1 << 20


@pytest.fixture(scope="module")
def thin():
    """Two workers, of which each lets at most a MiB of the other's large calls lie."""
    with groups.fresh(2, options={"max_queued_bytes": MOST_BYTES}) as group:
        yield group


def payload(kind, k, n):
    """n bytes, all of them k."""
    if kind == "bytes":
        return bytes([k]) * n
    return (nb.full if kind == "tensor" else np.full)((n // 4,), float(k), dtype=nb.float32)


def first(x):
    return int(x[0])


def send_large(worker, n, kind, size, timeout=60.0):
    """As `send_to`, of bytes: the second of the results counts waits, too."""
    most, before, futures = 0, pressure().n_waits[worker], []
    for k in range(n):
        futures.append(rpc.rpc_async(worker, first, (payload(kind, k, size),), timeout=timeout))
        most = max(most, rpc.statistics().peers[worker].queued_bytes)
    return most, pressure().n_waits[worker] - before, [future.wait() for future in futures]


def send_large_to_a_slow_worker(kind):
    busy = rpc.rpc_async(1, hold_gil, args=(100,))
    found = send_large(1, 20, kind, 200_000)
    busy.wait()
    return found, rpc.statistics().queued_bytes


@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_a_slow_worker_gets_no_more_bytes_than_the_limit(thin, kind):
    """(!) Only calls were counted, so 4,096 large arrays could wait for a worker that did not take them."""
    (most, n_waits, results), left = thin.call(send_large_to_a_slow_worker, kind)
    assert 200_000 < most <= MOST_BYTES
    assert n_waits > 0
    assert results == list(range(20))
    assert left == 0


def test_long_pickles_count_as_bytes(thin):
    (most, _, results), left = thin.call(send_large_to_a_slow_worker, "bytes")
    assert 200_000 < most <= MOST_BYTES
    assert results == list(range(20))
    assert left == 0


def test_bytes_to_oneself_are_bounded_too(thin):
    most, _, results = thin.call(send_large, 0, 20, "tensor", 200_000)
    assert most <= MOST_BYTES
    assert results == list(range(20))


def test_one_call_may_be_larger_than_the_limit(thin):
    most, _, results = thin.call(send_large, 1, 3, "tensor", 3 * MOST_BYTES)
    assert most <= 3 * MOST_BYTES
    assert results == [0, 1, 2]


def send_large_with_little_time():
    with standstill():
        start = time.monotonic()
        with pytest.raises(RpcTimeout) as caught:
            send_large(1, 20, "tensor", 200_000, 0.1)
        took_s = time.monotonic() - start
    return str(caught.value), took_s


def test_who_waits_for_bytes_too_long_is_told_how_many(thin):
    text, took_s = thin.call(send_large_with_little_time)
    assert "first on worker 'worker1' would add 200," in text
    assert "to 1,000," in text
    assert "1,048,576 is the most (max_queued_bytes in the options of init_rpc)" in text
    assert took_s < PROMPT_S


def answer_large(depth, x):
    """Forth and back, with a large array in each call."""
    me = state.agent().rank
    return 0 if depth == 0 else 1 + rpc.rpc_sync(1 - me, answer_large, (depth - 1, x))


def nest_large(n, depth):
    x = nb.ones(100_000)
    futures = [rpc.rpc_async(1, answer_large, (depth, x)) for _ in range(n)]
    return [future.wait() for future in futures]


def test_nested_large_calls_do_not_wait_for_bytes_that_only_they_free(thin):
    assert thin.call(nest_large, 20, 4) == [4] * 20
