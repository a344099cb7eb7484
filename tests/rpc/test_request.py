"""A call that has arrived: how it names itself, and what ends a worker (the rest is in test_calls.py)."""

import threading
from types import SimpleNamespace

from nbgrad.rpc import request


def fixed(n):
    return n


def make(functions, number):
    calls = SimpleNamespace(functions=[{}, functions])
    return request.Request(calls, (1, 1, 0, -1, 0, number, 0, 0, (), None))


def test_a_request_is_named_by_its_function():
    assert str(make({3: "somewhere:name"}, 3)) == "the result of somewhere:name"
    assert str(make({3: fixed}, 3 | request.HAS_ARGUMENTS)) == "the result of fixed"
    assert str(make({}, 0)) == "the result of a pickled function"


def test_only_ctrl_c_in_the_main_thread_is_an_interrupt():
    assert request.is_interrupt(KeyboardInterrupt())
    assert not request.is_interrupt(SystemExit())
    found = []
    thread = threading.Thread(
        target=lambda: found.append(request.is_interrupt(KeyboardInterrupt()))
    )
    thread.start()
    thread.join()
    assert found == [False]


def test_a_request_is_user_code_which_no_waiting_thread_runs():
    assert not make({}, 0).may_run_for(object())
