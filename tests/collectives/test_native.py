"""`begin` and `go` in a group of one: what takes the fast way, and what does not."""

import numpy as np
import pytest

from nbgrad.collectives import operation, rounds
from nbgrad.collectives.api import ALL_REDUCE, OP_UNIT, SHOW_AND_SUM, SHOW_AND_TAKE
from nbgrad.collectives.block import Block
from nbgrad.collectives.native import NOT_SMALL
from nbgrad.collectives.reducers import ReduceOp, reducer
from nbgrad.shm.layout import MEET
from tests.shm.place import bindings


@pytest.fixture
def place():
    with bindings(2) as (one, two):
        yield one, two


def block_for(binding, n):
    base, layout = binding.segment.address, binding.layout
    block = Block()
    slots = [base + layout.slot(rank, 0) for rank in range(n)]
    meets = [base + layout.worker(rank) + MEET for rank in range(n)]
    block.set_up(base, slots, meets, binding.rank, 1, 0)
    f4 = np.dtype("f4")
    block.learn(ReduceOp.SUM, f4, *reducer(ReduceOp.SUM, f4, "a test"))
    return block


def add(block, x, op=ReduceOp.SUM):
    return block.begin(ALL_REDUCE + OP_UNIT * op, SHOW_AND_SUM, x, x)


def test_what_begin_takes(place):
    block = block_for(place[0], 1)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert add(block, x) == rounds.COMPLETE
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    part = np.ones(4, np.float32)[1:]
    assert add(block, part) == rounds.COMPLETE
    refused = [
        np.ones(3),  # no reducer yet
        np.ones(3, np.float16),
        np.ones((3, 3), np.float32)[:, 1],
        np.frombuffer(bytearray(8), np.float32),  # perhaps held by somebody else
        np.ones(rounds.INLINE_BYTES, np.float32),  # there is no box
        [1.0],
    ]
    assert [add(block, a) for a in refused] == [NOT_SMALL] * len(refused)
    x.flags.writeable = False
    assert add(block, x) == NOT_SMALL
    assert add(block, np.ones(3, np.float32), ReduceOp.MAX) == NOT_SMALL
    out = np.zeros(2, np.float32)
    assert block.begin(ALL_REDUCE, SHOW_AND_TAKE, np.ones(3, np.float32), out) == NOT_SMALL
    block[rounds.IN_USE] = 1
    assert add(block, np.ones(3, np.float32)) == NOT_SMALL


def test_begin_leaves_what_others_are_missing_in_to_go(place):
    one, two = (block_for(binding, 2) for binding in place)
    # both bindings lie in one segment, and each has its own slot
    x, y = np.ones(3, np.float32), np.full(3, 5, np.float32)
    assert add(one, x) == rounds.RUNNING
    assert add(one, x) == NOT_SMALL
    assert one.go(1_000_000) == rounds.RUNNING
    assert add(two, y) == rounds.COMPLETE
    assert one.go(1_000_000) == rounds.COMPLETE
    assert x.tolist() == y.tolist() == [6, 6, 6]


def test_go_runs_what_is_loaded(place):
    block = block_for(place[0], 1)
    x = np.arange(1000.0)
    o = operation.all_reduce(x, ReduceOp.AVG)
    block.load(o, place[0])
    assert block.go(1_000_000) == rounds.COMPLETE
    assert x.tolist() == list(range(1000))
