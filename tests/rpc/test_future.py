"""Futures: set once, waited for by many, followed by others; with and without a group."""

import contextlib
import gc
import pickle
import threading
import time
import weakref

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcEncodeError, RpcTimeout
from nbgrad.futures import Future, collect_all, wait_all
from nbgrad.rpc.future import is_late, lateness
from tests.groups import eventually

# ---------------------------------------------------------------- without a group


def test_a_result_is_set_once():
    future = Future()
    assert not future.done()
    with pytest.raises(RuntimeError, match="not done"):
        future.value()
    future.set_result(None)
    assert future.done()
    assert future.wait() is None
    for again in (lambda: future.set_result(1), lambda: future.set_exception(ValueError())):
        with pytest.raises(RuntimeError, match="Future can only be marked completed once"):
            again()


def test_an_error_is_raised_by_wait_and_value():
    future = Future()
    future.set_exception(KeyError("k"))
    assert future.done()
    for look in (future.wait, future.value, future.wait):
        with pytest.raises(KeyError):
            look()


def test_an_error_must_be_an_exception():
    with pytest.raises(TypeError, match="not an Exception"):
        Future().set_exception("text")


def test_then_gives_a_future_of_what_follows():
    future = Future()
    chain = future.then(lambda done: done.value() + 1).then(lambda done: done.value() * 10)
    assert not chain.done()
    future.set_result(1)
    assert chain.wait() == 20
    assert future.then(lambda done: done.value()).done()  # at once


def test_then_passes_errors_on():
    future = Future()
    failing = future.then(lambda done: 1 / 0)
    follows = failing.then(lambda done: done.value())
    recovers = failing.then(lambda done: "recovered")
    future.set_result(1)
    for broken in (failing, follows):
        with pytest.raises(ZeroDivisionError):
            broken.wait()
    assert recovers.wait() == "recovered"


def test_a_callback_that_fails_is_printed_and_hurts_nobody(capfd):
    future, seen = Future(), []
    future.add_done_callback(lambda done: 1 / 0)
    future.add_done_callback(seen.append)
    future.set_result(1)
    future.add_done_callback(lambda done: [][5])
    assert seen == [future]
    printed = capfd.readouterr().err
    assert "ZeroDivisionError" in printed
    assert "IndexError" in printed


def test_callbacks_run_once_whoever_comes_first():
    for _ in range(200):
        future, seen = Future(), []
        start = threading.Barrier(3)

        def add(future=future, seen=seen, start=start):
            start.wait()
            for _ in range(5):
                future.add_done_callback(seen.append)

        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        start.wait()
        future.set_result(0)
        for thread in threads:
            thread.join()
        assert len(seen) == 10


def test_many_threads_wait_for_one():
    future, seen = Future(), []
    threads = [threading.Thread(target=lambda: seen.append(future.wait())) for _ in range(5)]
    for thread in threads:
        thread.start()
    future.set_result("all")
    for thread in threads:
        thread.join(5)
    assert seen == ["all"] * 5


def test_collect_all_waits_for_all_and_has_the_first_error():
    parts = [Future() for _ in range(3)]
    whole = collect_all(parts)
    parts[2].set_result(2)
    parts[0].set_exception(ValueError("zero"))
    assert not whole.done()
    parts[1].set_result(1)
    assert whole.done()
    with pytest.raises(ValueError, match="zero"):
        whole.wait()
    assert collect_all([]).wait() == []


def test_wait_all_gives_values_or_the_first_error():
    parts = [Future() for _ in range(2)]
    for n, part in enumerate(parts):
        part.set_result(n)
    assert wait_all(parts) == [0, 1]
    failed = Future()
    failed.set_exception(ValueError("one"))
    with pytest.raises(ValueError, match="one"):
        wait_all([parts[0], failed])
    assert wait_all([]) == []


def test_a_future_is_not_pickled():
    with pytest.raises(RpcEncodeError, match="Can not pickle torch.futures.Future"):
        pickle.dumps(Future())


def test_a_future_with_a_result_is_not_late():
    future = Future()
    future.deadline = time.monotonic() - 1
    assert is_late(future)
    future.set_result(1)
    assert not is_late(future)


def test_lateness_says_what_it_was():
    future = Future()
    future.timeout, future.text = 1.5, "f on worker 'w'"
    error = lateness(future)
    assert type(error) is RpcTimeout
    assert "timeout (1500 ms)" in str(error)
    assert "f on worker 'w'" in str(error)


# ---------------------------------------------------------------- of remote calls


def value(x):
    return x


def fail():
    raise LookupError("there")


def sleep_and_return(seconds, x):
    time.sleep(seconds)
    return x


def follow():
    seen = []
    future = rpc.rpc_async(1, sleep_and_return, (0.02, 5))
    child = future.then(lambda done: done.value() + 1).then(
        lambda done: (done.value(), threading.current_thread().name)
    )
    future.add_done_callback(lambda done: seen.append(done.value()))
    found = child.wait()
    late = future.then(lambda done: "late").wait()
    eventually(lambda: seen)
    return found[0], seen, late


def test_callbacks_of_calls_run(group2):
    assert group2.call(follow) == (6, [5], "late")


def follow_without_waiting():
    """Callbacks run although nobody waits for anything."""
    done = threading.Event()
    future = rpc.rpc_async(1, value, (1,))
    future.add_done_callback(lambda _: done.set())
    return done.wait(5)


def test_callbacks_run_although_nobody_waits(group2):
    assert group2.call(follow_without_waiting)


def call_in_callback():
    """A callback may itself call, and wait."""
    future = rpc.rpc_async(1, value, (1,)).then(
        lambda done: rpc.rpc_sync(1, value, (done.value() + 1,))
    )
    return future.wait()


def test_callbacks_may_call(group2):
    assert group2.call(call_in_callback) == 2


def chain_of_callbacks(n):
    future = rpc.rpc_async(1, value, (0,))
    for _ in range(n):
        future = future.then(lambda done: rpc.rpc_sync(1, value, (done.value() + 1,)))
    return future.wait()


def test_a_long_chain_of_callbacks_that_call(group2):
    assert group2.call(chain_of_callbacks, 30) == 30


def errors_in_callbacks():
    seen = []
    future = rpc.rpc_async(1, fail)
    future.add_done_callback(lambda done: seen.append(type(done.error)))
    child = future.then(lambda done: done.value())
    for waited in (future, child):
        try:
            waited.wait()
        except LookupError as error:
            seen.append(str(error))
    eventually(lambda: len(seen) == 3)
    return sorted(map(str, seen))


def test_errors_reach_callbacks(group2):
    assert group2.call(errors_in_callbacks) == ["<class 'LookupError'>", "there", "there"]


class Big:
    """Something that a weak reference can watch."""


def call_with(big):
    rpc.rpc_sync(1, fail)
    return big


def failure_without_cycle():
    """An error that was caught leaves nothing behind that only the garbage collector could free."""
    gc.collect()
    gc.disable()
    try:
        big = Big()
        watch = weakref.ref(big)
        with contextlib.suppress(LookupError):
            call_with(big)
        del big
        return watch() is None
    finally:
        gc.enable()


def test_a_caught_error_keeps_nothing_alive(group2):
    assert group2.call(failure_without_cycle)


def collect():
    futures = [rpc.rpc_async(k % 2, sleep_and_return, (0.01 * (3 - k), k)) for k in range(4)]
    whole = collect_all(futures)
    values = [future.value() for future in whole.wait()]
    return values, wait_all(futures)


def test_calls_are_collected(group2):
    assert group2.call(collect) == ([0, 1, 2, 3], [0, 1, 2, 3])


def mix_own_and_remote():
    own = Future()
    whole = collect_all([own, rpc.rpc_async(1, value, (1,))])
    threading.Timer(0.02, own.set_result, ("own",)).start()
    return [future.value() for future in whole.wait()]


def test_own_and_remote_futures_are_collected_together(group2):
    assert group2.call(mix_own_and_remote) == ["own", 1]


def cyclic():
    """Futures that wait for each other's callbacks across workers."""
    a, b = Future(), Future()
    a_then = a.then(lambda done: rpc.rpc_sync(1, value, (done.value(),)))
    b_then = b.then(lambda done: rpc.rpc_sync(1, value, (done.value() + a_then.wait(),)))
    a.then(lambda done: b.set_result(10))
    threading.Thread(target=a.set_result, args=(1,)).start()
    return b_then.wait()


def test_cyclic_futures_finish(group2):
    assert group2.call(cyclic) == 11


def wait(for_what, futures):
    try:
        for_what(futures)
    except LookupError as error:
        return type(error).__name__, [future.done() for future in futures]
    return None


class Door:
    open = None


def wait_at_door():
    Door.open = Future()
    Door.open.wait()
    return "late"


def open_door():
    assert eventually(lambda: Door.open is not None)
    Door.open.set_result(None)
    Door.open = None


def error_ends_the_wait():
    """The first call ends after this worker has seen the second fail."""
    found = []
    for collect in (lambda futures: collect_all(futures).wait(), wait_all, wait_in_block):
        futures = [rpc.rpc_async(1, wait_at_door), rpc.rpc_async(1, fail)]
        found.append(wait(collect, futures))
        rpc.rpc_sync(1, open_door)
        assert futures[0].wait() == "late"
    return found


def wait_in_block(futures):
    with rpc._wait_all():
        rpc.api._thread_local_var.future_list += futures


def test_the_error_of_a_call_ends_the_wait_for_many(group2):
    found = group2.call(error_ends_the_wait)
    assert [done for _, done in found] == [[False, True]] * 3


@pytest.mark.parametrize("callback", [None, 3])
def test_a_callback_must_be_callable(callback):
    future = Future()
    for add in (future.then, future.add_done_callback):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            add(callback)


def test_a_future_has_a_type_in_annotations():
    assert Future[int].__origin__ is Future
