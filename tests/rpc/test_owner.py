"""What runs on the owner of an RRef: its type, and what waits for a value that is not made yet."""

import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RpcTimeout, RRefError
from nbgrad.futures import Future
from nbgrad.rpc import state

gates: dict = {}


@rpc.functions.async_execution
def behind(gate):
    """A value that is made when `open_gate` is called."""
    return gates.setdefault(gate, Future())


def open_gate(gate, value):
    gates.setdefault(gate, Future()).set_result(value)


def fail():
    raise KeyError("no value")


class Thing:
    pass


def types(to):
    tensor, thing = rpc.remote(to, nb.ones, (2,)), rpc.remote(to, Thing)
    calls = rpc.statistics().peers[to].calls
    first = tensor._get_type(), thing._get_type()
    asked = rpc.statistics().peers[to].calls - calls
    again = tensor._get_type(), thing._get_type(blocking=False).wait()
    later = rpc.remote(to, Thing)._get_type(blocking=False).wait()
    return first, again, later, asked, rpc.statistics().peers[to].calls - calls


@pytest.mark.parametrize("to", [0, 1])
def test_the_type_is_asked_once(group2, to):
    first, again, later, asked, in_all = group2.call(types, to)
    assert first == again == (nb.Tensor, Thing)
    assert later is Thing
    assert (asked, in_all) == ((2, 4) if to else (0, 2))


def type_of_failed(to):
    rref = rpc.remote(to, fail)
    with pytest.raises(KeyError):
        rref._get_type()
    with pytest.raises(KeyError):
        rref._get_type(blocking=False).wait()


@pytest.mark.parametrize("to", [0, 1])
def test_the_type_of_a_value_that_was_never_made_is_its_error(group2, to):
    group2.call(type_of_failed, to)


def type_too_late(to):
    rref = rpc.remote(to, behind, ("type",))
    with pytest.raises(RpcTimeout):
        rref._get_type(timeout=0.05)
    asked = rref._get_type(blocking=False)
    assert not asked.done()
    rpc.rpc_sync(to, open_gate, ("type", 1.5))
    found = asked.wait(), rref._get_type()
    gates.clear()
    rpc.rpc_sync(to, gates_clear)
    return found


def gates_clear():
    gates.clear()


@pytest.mark.parametrize("to", [0, 1])
def test_the_type_waits_for_the_value(group2, to):
    assert group2.call(type_too_late, to) == (float, float)


def created(to):
    rref = rpc.remote(to, behind, ("future",))
    future = rref._get_future()
    before = future.done()
    rpc.rpc_sync(to, open_gate, ("future", 2))
    future.wait()
    rpc.rpc_sync(to, gates_clear)
    return before, rref.confirmed_by_owner(), rref.to_here()


@pytest.mark.parametrize("to", [0, 1])
def test_the_future_of_a_creation(group2, to):
    assert group2.call(created, to) == (False, True, 2)


# ---------------------------------------------------------------- Note [RRef lifetime] F5


def look_at(rref):
    return rref.confirmed_by_owner(), rref.table.values.get(rref.rref_id) is not None


def use(rref):
    return rref.local_value()


def argument_before_its_value():
    rref = rpc.remote(1, behind, ("argument",))
    confirmed, is_known = rpc.rpc_sync(1, look_at, (rref,))  # begins though there is no value
    elsewhere = rpc.rpc_sync(2, look_at, (rref,))
    uses = [rpc.rpc_async(1, use, (rref,)) for _ in range(3)]
    open_ = [future.done() for future in uses]
    rpc.rpc_sync(1, open_gate, ("argument", "value"))
    values = [future.wait() for future in uses]
    rpc.rpc_sync(1, gates_clear)
    return confirmed, is_known, elsewhere, open_, values


def test_an_argument_is_confirmed_and_its_use_waits_for_the_value(group3):
    confirmed, is_known, elsewhere, open_, values = group3.call(argument_before_its_value)
    assert confirmed
    assert is_known
    assert elsewhere == (True, False)
    assert open_ == [False] * 3
    assert values == ["value"] * 3


def drop_argument_at_once():
    futures = [rpc.rpc_async(1, use, (rpc.remote(1, list),)) for _ in range(50)]
    return [future.wait() for future in futures]


def test_an_argument_lives_though_its_sender_has_dropped_it(group2):
    assert group2.call(drop_argument_at_once) == [[]] * 50


def user_asks_for_local_value():
    with pytest.raises(RRefError, match="can't call localValue"):
        rpc.rpc_sync(1, use, (rpc.RRef(1),))
    return len(state.agent().rrefs.values)


def test_and_is_dropped_after_an_error(group2):
    group2.call(user_asks_for_local_value)


def type_of_a_dropped_reference():
    agent, late = state.agent(), []
    rref = rpc.remote(0, Thing)
    rref.to_here()
    agent.serving.submit = late.append  # the question waits for a thread
    try:
        future = rref._get_type(timeout=5, blocking=False)
        del rref
        agent.rrefs.collect()  # what has gone is given back now
    finally:
        del agent.serving.submit
    for work in late:
        agent.serving.submit(work)
    return len(late), future.wait()


def test_a_reference_lives_until_its_type_is_known(group2):
    """(!) its end overtook the question, which then waited for a value that nobody would make."""
    assert group2.call(type_of_a_dropped_reference) == (1, Thing)
