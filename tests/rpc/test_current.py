"""The agent of this worker, and the counts that it tells."""

import pytest

from nbgrad import rpc
from nbgrad.errors import RpcError
from tests.groups import eventually


def infos():
    agent = rpc._get_current_rpc_agent()
    names = [info.name for info in agent.get_worker_infos()]
    same = (
        agent.get_worker_info("worker1")
        == agent.get_worker_info(1)
        == rpc.get_worker_info("worker1")
    )
    own = agent.get_worker_info() == rpc.get_worker_info()
    keys = set(agent.get_debug_info())
    return names, same, own, isinstance(agent, rpc.TensorPipeAgent), keys


def test_the_agent_knows_all_workers(group3):
    names, same, own, is_agent, keys = group3.call(infos)
    assert names == ["worker0", "worker1", "worker2"]
    assert same
    assert own
    assert is_agent
    assert {"agent.thread_pool_size", "agent.num_idle_threads"} <= keys


def test_there_is_none_without_a_group():
    with pytest.raises(RpcError, match="has not been initialized"):
        rpc._get_current_rpc_agent()


class Kept:
    references: list = []


def keep(rref):
    Kept.references.append(rref)


def drop():
    Kept.references.clear()


def counts():
    info = rpc._rref_context_get_debug_info()
    return int(info["num_owner_rrefs"]), int(info["num_forks"])


def owners_and_forks():
    """A value of this worker alone; then with one reference elsewhere, with two, with none; then one made by `remote`."""
    rref = rpc.RRef("value")
    alone = counts()
    rpc.rpc_sync(1, keep, (rref,))
    one = counts()
    rpc.rpc_sync(1, keep, (rref,))
    two = counts()
    rpc.rpc_sync(1, drop)
    gone = eventually(lambda: counts() == (0, 0))
    there = rpc.remote(1, str, (5,))
    there.to_here()
    elsewhere = rpc.rpc_sync(1, counts)
    del there
    rpc._delete_all_user_and_unforked_owner_rrefs()
    dropped = eventually(lambda: rpc.rpc_sync(1, counts) == (0, 0))
    return alone, one, two, gone, elsewhere, dropped


def test_owners_and_forks_are_counted(group2):
    assert group2.call(owners_and_forks) == ((0, 0), (1, 1), (1, 2), True, (1, 1), True)
