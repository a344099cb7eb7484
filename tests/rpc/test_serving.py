"""Serving threads: somebody always answers, and threads do not pile up."""

import threading
import time
from types import SimpleNamespace

import pytest

from nbgrad import rpc
from nbgrad.rpc import state
from nbgrad.rpc.serving import Serving
from nbgrad.shm.waiting import SPIN_NS

opened = threading.Event()
N_BLOCKED = 12


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
