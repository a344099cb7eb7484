"""Block: words and tables, and what an operation makes of them."""

import numpy as np

from nbgrad.collectives import operation, rounds
from nbgrad.collectives.block import NO_SHOW, Block, address_of
from nbgrad.collectives.reducers import ReduceOp
from tests.shm.place import bindings

LARGE = np.ones(rounds.DIRECT_BYTES // 8)


def made(binding):
    block = Block()
    block.set_up(binding.segment.address, [1000, 2000, 3000], [10, 20, 30], 1, 77, 5000)
    block[rounds.BOX_BYTES] = 1 << 12
    return block


def test_constants():
    with bindings(1) as (binding,):
        block = made(binding)
        assert (block[rounds.OWN], block[rounds.MEET], block[rounds.SEQ]) == (2000, 20, 77)
        assert [block[rounds.SLOT + 8 * p] for p in range(4)] == [1000, 2000, 3000, 0]


def test_small_and_large_operations_begin_in_their_phases():
    with bindings(1) as (binding,):
        block = made(binding)
        x = np.ones((5, 5))
        block.load(operation.all_reduce(x, ReduceOp.SUM), binding)
        assert (block[rounds.PHASE], block[rounds.STAGE]) == (rounds.CHUNKS, rounds.TO_SHOW)
        assert (block[rounds.PIECE], block[rounds.STRIDE], block[rounds.ND]) == (200, 200, 2)
        assert block[rounds.IN] == block[rounds.OUT] == address_of(x)
        block.load(operation.all_reduce(LARGE, ReduceOp.SUM), binding)
        assert (block[rounds.PHASE], block[rounds.OFFER]) == (rounds.OFFERING, 0)
        assert block[rounds.STRIDE] == 1 << 12
        shared = binding.empty(LARGE.shape, LARGE.dtype)
        block.load(operation.all_reduce(shared, ReduceOp.SUM), binding)
        assert block[rounds.OFFER] == address_of(shared) - binding.segment.address
        block.load(operation.broadcast(shared, 0, 1), binding)
        assert (block[rounds.OFFER], block[rounds.SHOWS]) == (NO_SHOW, 0)
        block.load(operation.all_to_all([LARGE] * 3, [shared, shared, LARGE]), binding)
        assert block[rounds.OFFER] == 0  # one of them lies elsewhere
        assert block[rounds.STRIDE] * 3 <= 1 << 12
        assert block[rounds.STRIDE] % 64 == 0
