"""Conditions of `shutdown`: who has come, what is under way, and for how long."""

import time
from types import SimpleNamespace

from nbgrad.errors import RpcTimeout
from nbgrad.rpc import state
from nbgrad.rpc.leaving import AllReached, Quiet, Until
from nbgrad.shm.layout import DRAINED


def test_quiet_is_without_calls_and_requests():
    agent = SimpleNamespace(futures={}, serving=SimpleNamespace(queue=[]))
    assert Quiet(agent).finished
    agent.futures[1] = None
    assert not Quiet(agent).finished
    agent.futures.clear()
    agent.serving.queue.append("a request")
    assert not Quiet(agent).finished


def too_late():
    agent = state.agent()
    never = SimpleNamespace(finished=False)
    try:
        assert not Until(never, None, agent).finished
        assert not Until(never, time.monotonic() + 60, agent).finished
        assert Until(SimpleNamespace(finished=True), 0.0, agent).finished
        return Until(never, 0.0, agent).finished
    except RpcTimeout as error:
        return str(error)


def test_a_condition_that_takes_too_long_names_who_is_missing(group2):
    text = group2.call(too_late)
    assert text.startswith("shutdown timed out")
    assert "worker0" in text
    assert "'worker1'" not in text  # it is inside of shutdown already


def all_there():
    return AllReached(state.agent(), 0).finished, AllReached(state.agent(), DRAINED).finished


def test_all_have_come_when_the_slowest_has(group2):
    assert group2.call(all_there) == (True, False)
