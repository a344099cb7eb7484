"""_all_gather, _barrier and _wait_all."""

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcTimeout
from nbgrad.rpc import state
from nbgrad.rpc.gather import _thread_local_var


def meet(value, names):
    return rpc._all_gather(value, names)


def gather(times):
    world = state.agent().world
    found = []
    for k in range(times):
        futures = [rpc.rpc_async(r, meet, args=(10 * r + k, None)) for r in range(1, world)]
        found.append(rpc._all_gather(k))
        assert all(future.wait() == found[-1] for future in futures)
    return found


def gather_of_some():
    future = rpc.rpc_async("worker2", meet, args=("two", ["worker0", "worker2"]))
    mine = rpc._all_gather("zero", ["worker2", "worker0"])
    return mine, future.wait()


def gather_alone():
    rpc._all_gather(1, ["worker0", "worker1"], timeout=0.2)


def late(seconds_of):
    return seconds_of


def wait_for_all():
    with rpc._wait_all():
        futures = [rpc.rpc_async("worker1", late, args=(k,)) for k in range(5)]
    return [future.done() for future in futures], hasattr(_thread_local_var, "future_list")


def test_everybody_gets_everything_each_time(group3):
    expected = [{"worker0": k, "worker1": 10 + k, "worker2": 20 + k} for k in range(3)]
    assert group3.call(gather, 3) == expected


def test_some_can_meet(group3):
    both = {"worker0": "zero", "worker2": "two"}
    assert group3.call(gather_of_some) == (both, both)


def test_wait_all_waits_and_ends_with_its_block(group2):
    assert group2.call(wait_for_all) == ([True] * 5, False)


def test_a_missing_follower_is_an_error():
    from tests.groups import fresh

    with (
        fresh(2) as group,
        pytest.raises(RpcTimeout, match="timed out in _all_gather after .* seconds"),
    ):
        group.call(gather_alone)
