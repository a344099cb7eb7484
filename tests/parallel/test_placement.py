"""Cores are shared out, and what the user has set wins."""

import os

import hypothesis.strategies as st
from hypothesis import given

from nbgrad.ops.threads import get_num_threads, set_num_threads
from nbgrad.parallel import placement
from tests.collectives.everywhere import everywhere


@given(st.integers(1, 40), st.integers(1, 9))
def test_shares(n, world):
    found = placement.shares(set(range(n)), [list(range(n))], world)
    assert len(found) == world
    if world <= n:
        assert sorted(cpu for share in found for cpu in share) == list(range(n)), "each once"
        assert max(map(len, found)) - min(map(len, found)) <= 1
    else:
        assert all(len(share) == 1 for share in found)


def test_nodes_are_not_mixed():
    found = placement.shares(set(range(8)), [[0, 2, 4, 6], [1, 3, 5, 7]], 4)
    assert found == [(0, 2), (4, 6), (1, 3), (5, 7)]
    assert {cpu for node in placement.nodes() for cpu in node} >= os.sched_getaffinity(0)


def placed(rank, world):
    before, usable = get_num_threads(), os.sched_getaffinity(0)
    for name in placement.THREADS:
        os.environ.pop(name, None)
    told = []
    try:
        set_num_threads(1)
        told.append(placement.place(pin=False).threads)
        told.append(placement.place(pin=False, threads=2).threads)
        os.environ["OMP_NUM_THREADS"] = "2"
        told.append(placement.place(pin=False).threads)
        del os.environ["OMP_NUM_THREADS"]
        os.environ[placement.PIN] = "1"
        pinned = placement.place(threads=1)
        told.append(pinned.is_pinned and set(pinned.cpus) == os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable)
        os.environ[placement.PIN] = "0"
        told.append(placement.place(threads=1).is_pinned)
    finally:
        os.environ.pop(placement.PIN, None)
        os.sched_setaffinity(0, usable)
        set_num_threads(before)
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(before))
    return told


def test_what_is_set_wins(group2):
    for told in group2.call(everywhere, placed):
        assert told == [1, 2, 2, True, False]
