"""statistics(): every figure against what was really done."""

import dataclasses

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RpcError
from nbgrad.futures import Future
from nbgrad.rpc import figures, state
from tests import groups

waiting: list = []


@rpc.functions.async_execution
def answer_later():
    waiting.append(Future())
    return waiting[-1]


def answer_all():
    while waiting:
        waiting.pop().set_result(None)


def total(x):
    return float(x.sum())


def differences(action, peer=1):
    """What `action()` adds to the figures of a peer."""
    before = rpc.statistics().peers[peer]
    action()
    after = rpc.statistics().peers[peer]
    return {
        field.name: getattr(after, field.name) - getattr(before, field.name)
        for field in dataclasses.fields(figures.PeerStatistics)[2:]
    }


def three_calls():
    for _ in range(3):
        rpc.rpc_sync(1, total, (nb.ones(5),))


def count_three_calls():
    three_calls()
    return differences(three_calls)


def test_calls_messages_and_copied_bytes(group2):
    found = group2.call(count_three_calls)
    assert found == {
        "calls": 3, "in_flight": 0, "queued": 0, "served": 0, "messages": 3, "bytes_copied": 60, "bytes_zero_copy": 0,
        "backpressure_waits": 0, "backpressure_wait_s": 0, "queued_bytes": 0,
    }  # fmt: skip


def one_large_call():
    rpc.rpc_sync(1, total, (nb.ones(100_000),))


def count_a_large_call():
    return differences(one_large_call)


def test_bytes_that_stay_in_place_are_told_apart(group2):
    found = group2.call(count_a_large_call)
    assert (found["bytes_copied"], found["bytes_zero_copy"]) == (0, 400_000)


def of_the_other():
    return rpc.statistics()


def what_the_other_counts():
    before = rpc.rpc_sync(1, of_the_other)
    three_calls()
    after = rpc.rpc_sync(1, of_the_other)
    return before, after


def test_the_other_end_counts_what_it_served(group2):
    before, after = group2.call(what_the_other_counts)
    assert (after.name, after.rank) == ("worker1", 1)
    assert after.peers[0].served - before.peers[0].served == 4  # the three, and the question
    assert after.served - before.served == 4
    assert after.peers[0].messages - before.peers[0].messages == 4  # the answers
    assert [peer.name for peer in after.peers] == ["worker0", "worker1"]


def calls_without_an_answer():
    futures = [rpc.rpc_async(1, answer_later) for _ in range(7)]
    begun = groups.eventually(lambda: rpc.statistics().peers[1].queued == 0)
    found = rpc.statistics()
    groups.eventually(lambda: rpc.rpc_sync(1, len_waiting) == 7)
    rpc.rpc_sync(1, answer_all)
    for future in futures:
        future.wait()
    return begun, found.in_flight, found.peers[1].in_flight, rpc.statistics().in_flight


def len_waiting():
    return len(waiting)


def test_calls_in_flight(group2):
    assert group2.call(calls_without_an_answer) == (True, 7, 7, 0)


def rref_figures():
    before = rpc.statistics()
    kept = [rpc.remote(1, nb.ones, (2,)) for _ in range(4)] + [rpc.RRef(5)]
    for rref in kept:
        rref.to_here()
    here, there = rpc.statistics(), rpc.rpc_sync(1, of_the_other)
    del kept, rref
    state.agent().rrefs.collect()
    after = rpc.statistics()
    return (
        here.rrefs_held - before.rrefs_held,
        here.rrefs_owned - before.rrefs_owned,
        there.rrefs_owned,
        after.rrefs_held - before.rrefs_held,
    )


def test_rrefs_owned_and_held(group2):
    assert group2.call(rref_figures) == (5, 1, 4, 0)


def as_text():
    three_calls()
    return str(rpc.statistics())


def test_the_text_is_a_table_with_a_row_per_peer(group2):
    head, columns, *rows = group2.call(as_text).splitlines()
    assert head.startswith("worker0 (rank 0): 0 calls")
    assert columns.split()[:3] == ["peer", "calls", "in"]
    assert [row.split()[0] for row in rows] == ["worker0", "worker1"]
    assert len({len(row) for row in [columns, *rows]}) == 1


def as_data():
    return dataclasses.asdict(rpc.statistics())


def test_it_is_plain_data(group2):
    found = group2.call(as_data)
    assert found["peers"][1]["name"] == "worker1"
    assert all(isinstance(found[name], int) for name in ("queue", "backlog", "threads"))
    assert 0 <= found["threads_idle"] <= found["threads"]


def test_it_needs_a_group():
    with pytest.raises(RpcError, match="RPC has not been initialized"):
        rpc.statistics()


def make(**changes):
    zero = {f.name: 0 for f in dataclasses.fields(figures.PeerStatistics)} | {"name": "p"}
    rest = {f.name: 0 for f in dataclasses.fields(figures.Statistics)} | {"name": "me"}
    peers = tuple(figures.PeerStatistics(**zero | {name: value}) for name, value in changes.items())
    return figures.Statistics(**rest | {"peers": peers})


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(figures.PeerStatistics)[2:]])
def test_sums_go_by_the_names_of_the_parts(name):
    one = make(**{name: 3}).peers[0]
    both = dataclasses.replace(make(calls=0), peers=(one, one))
    assert getattr(both, name) == 6
    assert np.isclose(getattr(make(**{name: 3}), name), 3)
