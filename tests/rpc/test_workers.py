"""Workers by name, rank and WorkerInfo."""

import pickle

import pytest

from nbgrad.errors import RpcError
from nbgrad.rpc import WorkerInfo
from nbgrad.rpc.workers import Workers


def test_all_three_ways():
    workers = Workers(["a", "b"], 0)
    assert [workers.rank(to) for to in ("b", 1, WorkerInfo("b", 1))] == [1, 1, 1]


def test_unknown_workers_are_named_with_the_known_ones():
    workers = Workers(["a", "b"], 0)
    for to in ("c", 7, WorkerInfo("a", 1)):
        with pytest.raises(RpcError, match="could not find destination name"):
            workers.rank(to)
    for to in (None, 1.5, ["a"]):
        with pytest.raises(ValueError, match="Cannot get WorkerInfo from name"):
            workers.rank(to)


def test_infos_compare_hash_and_pickle():
    info = WorkerInfo("a", 0)
    assert pickle.loads(pickle.dumps(info)) == info
    assert {info: 1}[WorkerInfo("a", 0)] == 1
