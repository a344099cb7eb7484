"""Serving threads: somebody always answers, and threads do not pile up."""

import functools
import threading
import time
from types import SimpleNamespace

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcError, RpcTimeout
from nbgrad.futures import Future
from nbgrad.rpc import serving, state
from nbgrad.rpc.serving import Serving
from nbgrad.shm import words
from nbgrad.shm.layout import GONE, NAME, NAME_BYTES
from nbgrad.shm.waiting import SPIN_NS
from tests import groups
from tests.groups import on_all

opened = threading.Event()
N_BLOCKED = 12
SPARE = NAME + NAME_BYTES  # a word of a worker block that nobody uses


def block():
    return opened.wait(20)


def open_up():
    opened.set()


def close_again():
    opened.clear()


def n_threads():
    return state.agent().serving.n_threads


def answer(x):
    return x + 1


def blocked_everywhere():
    """Calls are answered although many threads of the callee wait for something that only another call brings."""
    rpc.rpc_sync("worker1", close_again)
    futures = [rpc.rpc_async("worker1", block) for _ in range(N_BLOCKED)]
    value = rpc.rpc_sync("worker1", answer, args=(1,))
    rpc.rpc_sync("worker1", open_up)
    return value, [future.wait() for future in futures]


def many_short():
    """A burst of short calls does not make a crowd of threads."""
    before = rpc.rpc_sync("worker1", n_threads)
    for future in [rpc.rpc_async("worker1", answer, args=(k,)) for k in range(2000)]:
        future.wait()
    return rpc.rpc_sync("worker1", n_threads) - before


def fails():
    raise ZeroDivisionError("in a callback")


def call_again(done):
    """A callback that needs this worker's messages, of a call that has failed."""
    return type(done.error), rpc.rpc_sync("worker1", answer, args=(1,), timeout=5)


def end_late():
    return rpc.rpc_async("worker1", block, timeout=0.05).then(call_again)


def end_with_all():
    agent = state.agent()
    child = rpc.rpc_async("worker1", block).then(call_again)
    with agent.role:  # as whoever finds out about a death may hold it
        agent.fail_all(RpcError("planted"))
    return child


def end_departed():
    agent = state.agent()
    child = rpc.rpc_async("worker1", block).then(call_again)
    agent.departures.states[1], before = agent.binding.worker(1) + SPARE, agent.departures.states[1]
    words.store(agent.departures.states[1], GONE)
    agent.departures.seen[1] = 0.0
    with agent.role:
        assert agent.fail_departed() == 2
        agent.departures.seen.clear()
        words.store(agent.departures.states[1], 0)
        agent.departures.states[1] = before
    return child


def follow_a_failed_call(end):
    rpc.rpc_sync("worker1", close_again)
    child = end()
    found = child.wait()
    rpc.rpc_sync("worker1", open_up)
    return found


def fail_twice():
    agent = state.agent()
    future, seen = Future(agent=agent), []
    future.add_done_callback(seen.append)
    future.set_result(5)
    agent.serving.fail(future, RpcError("too late"))
    return future.wait(), len(seen)


@pytest.mark.parametrize(
    ("end", "error"), [(end_late, RpcTimeout), (end_with_all, RpcError), (end_departed, RpcError)]
)
def test_callbacks_of_a_failed_call_may_themselves_call(group2, end, error):
    """(!) They ran with the role held, so no answer could come."""
    assert group2.call(follow_a_failed_call, end) == (error, 2)


def test_a_failure_after_the_result_changes_nothing(group2):
    assert group2.call(fail_twice) == (5, 1)


class Closing:
    """An agent that leaves its group, and has called these."""

    own, backlog, closing = 0, (), True

    def changed(self):
        pass


def test_callbacks_of_a_closing_worker_run_although_nobody_serves():
    alone, future, seen = Serving(Closing()), Future(), []
    future.add_done_callback(seen.append)
    alone.fail(future, RpcError("leaving"))
    assert seen == [future]


def set_serving(**values):
    """On this worker: what limits its threads."""
    for name, value in values.items():
        assert hasattr(state.agent().serving, name)
        setattr(state.agent().serving, name, value)


def around(n):
    """Nested calls around the group of 3; how many hops."""
    me = rpc.get_worker_info().id
    return 0 if n == 0 else 1 + rpc.rpc_sync((me + 1) % 3, around, (n - 1,))


def set_constants(**values):
    for name, value in values.items():
        assert hasattr(serving, name)
        setattr(serving, name, value)


def nest_without_delays(n_calls, depth):
    """Deep calls where a thread that is not hurried begins after half a minute; then threads end that have nothing to do."""
    on_all(functools.partial(set_constants, DELAY_S=30.0))
    futures = [rpc.rpc_async(1, around, (depth,)) for _ in range(n_calls)]
    found = [future.wait() for future in futures]
    grown = on_all(n_threads)
    on_all(functools.partial(set_constants, IDLE_S=0.0))
    few = groups.eventually(lambda: max(on_all(n_threads)) <= 4, 10)
    return found, max(grown), few


def test_threads_for_nested_calls_begin_at_once_and_end_when_idle(nothing_left):
    """(!) Each level waited until a thread was 100 ms old, and no thread ever ended."""
    with groups.fresh(3) as group:
        found, grown, few = group.call(nest_without_delays, 10, 5)
        assert found == [5] * 10
        assert grown > 10
        assert few


class Gate:
    future = None


def set_gate():
    Gate.future = Future()


def wait_at_gate():
    return Gate.future.wait()


def open_gate():
    Gate.future.set_result("by a call")


def open_when_refused(n_least):
    """A thread that is none of nbgrad's lets the blocked calls go on once others were refused."""

    def work():
        here = state.agent().serving
        assert groups.eventually(lambda: here.n_refused >= n_least and not here.queue, 15)
        Gate.future.set_result("by a thread")

    threading.Thread(target=work).start()


def block_all_threads(n):
    """More calls wait for another call than there are threads."""
    rpc.rpc_sync(1, functools.partial(set_serving, most=4, stuck_s=0.3))
    rpc.rpc_sync(1, set_gate)
    rpc.rpc_sync(1, open_when_refused, (n - 4,))  # all but the 5 that have begun
    futures = [rpc.rpc_async(1, wait_at_gate) for _ in range(n)]
    futures.append(rpc.rpc_async(1, open_gate))
    found = []
    for future in futures:
        try:
            found.append(future.wait())
        except RpcError as error:
            found.append(str(error))
    rpc.rpc_sync(1, functools.partial(set_serving, most=serving.MOST, stuck_s=serving.STUCK_S))
    return found


def test_calls_that_no_thread_is_left_for_are_refused(nothing_left):
    """(!) They waited for ever, with those that waited for them."""
    with groups.fresh(2) as group:
        *found, last = group.call(block_all_threads, 20)
    assert "worker 'worker1' does not run this call: 4 calls are under way there" in last
    assert "async_execution" in last
    assert 4 <= found.count("by a thread") <= 5  # worker 1's main thread serves, too
    assert set(found) == {"by a thread", last}


def call_back(k):
    return rpc.rpc_sync(0, answer, (k,))


def nest_with_few_threads(n):
    for rank in (0, 1):
        rpc.rpc_sync(rank, functools.partial(set_serving, most=3, stuck_s=1.0))
    futures = [rpc.rpc_async(1, call_back, (k,)) for k in range(n)]
    return [future.wait() for future in futures]


def test_few_threads_run_many_calls_where_each_can_go_on(nothing_left):
    with groups.fresh(2) as group:
        assert group.call(nest_with_few_threads, 100) == list(range(1, 101))


def test_a_system_without_more_threads_is_a_limit(monkeypatch, caplog):
    def start(thread):
        raise RuntimeError("can't start new thread")

    alone = Serving(SimpleNamespace())
    alone.n_threads = 3
    monkeypatch.setattr(threading.Thread, "start", start)
    alone.start_thread(0.1)
    assert (alone.n_threads, alone.n_idle, alone.most) == (3, 0, 3)
    assert not alone.threads
    assert not alone.delayed
    assert "no more than 3 threads" in caplog.text
    alone.n_threads = 0
    alone.most = 1
    with pytest.raises(RuntimeError):
        alone.start_thread(0.0)


def test_blocked_threads_do_not_block_others(group2):
    assert group2.call(blocked_everywhere) == (2, [True] * N_BLOCKED)


def test_short_calls_make_few_threads(group2):
    assert group2.call(many_short) < 20


@pytest.mark.parametrize(
    ("quiet_s", "least", "most"),
    [(0.0, 8_000_000, 8_000_000), (0.2, 50_000_000, 80_000_000), (9.0, 200_000_000, 200_000_000)],
)
def test_slices_grow_while_nothing_comes(quiet_s, least, most):
    alone = Serving(SimpleNamespace(last_message=time.monotonic() - quiet_s))
    assert least <= alone.slice() <= most
    assert alone.slice() > SPIN_NS  # no spin
    assert alone.slice(is_first=True) == SPIN_NS


def test_slices_end_in_time_for_a_deadline():
    alone = Serving(SimpleNamespace(last_message=0.0))
    alone.note_deadline(time.monotonic() + 0.05)
    assert 10_000_000 < alone.slice() <= 50_000_000
    alone.note_deadline(time.monotonic() - 1.0)
    assert alone.slice() == alone.slice(is_first=True) == 100_000
