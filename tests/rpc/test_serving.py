"""Serving threads: somebody always answers, and threads do not pile up."""

import threading
import time
from types import SimpleNamespace

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcError, RpcTimeout
from nbgrad.futures import Future
from nbgrad.rpc import state
from nbgrad.rpc.serving import Serving
from nbgrad.shm import words
from nbgrad.shm.layout import GONE, NAME, NAME_BYTES
from nbgrad.shm.waiting import SPIN_NS

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
    serving, future, seen = Serving(Closing()), Future(), []
    future.add_done_callback(seen.append)
    serving.fail(future, RpcError("leaving"))
    assert seen == [future]


def test_blocked_threads_do_not_block_others(group2):
    assert group2.call(blocked_everywhere) == (2, [True] * N_BLOCKED)


def test_short_calls_make_few_threads(group2):
    assert group2.call(many_short) < 20


@pytest.mark.parametrize(
    ("quiet_s", "least", "most"),
    [(0.0, 8_000_000, 8_000_000), (0.2, 50_000_000, 80_000_000), (9.0, 200_000_000, 200_000_000)],
)
def test_slices_grow_while_nothing_comes(quiet_s, least, most):
    serving = Serving(SimpleNamespace(last_message=time.monotonic() - quiet_s))
    assert least <= serving.slice() <= most
    assert serving.slice() > SPIN_NS  # no spin
    assert serving.slice(is_first=True) == SPIN_NS


def test_slices_end_in_time_for_a_deadline():
    serving = Serving(SimpleNamespace(last_message=0.0))
    serving.note_deadline(time.monotonic() + 0.05)
    assert 10_000_000 < serving.slice() <= 50_000_000
    serving.note_deadline(time.monotonic() - 1.0)
    assert serving.slice() == serving.slice(is_first=True) == 100_000
