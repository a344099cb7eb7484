"""all_reduce_shared: exact, in one place, given back when its last reader goes."""

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.collectives.membership import State
from nbgrad.distributed import ReduceOp
from nbgrad.shm import arena
from nbgrad.shm.binding import block_of
from tests.collectives.everywhere import error_of, everywhere
from tests.collectives.test_api import expected, same, values


def offset_of(t):
    block = block_of(t.array)
    return block - State.default.session.base if block else 0


def sums(rank, world, n, op):
    found = []
    for k in range(2 * world):
        mine = values(rank, (n,), "float32")
        x = nb.tensor(mine) + 0 if k % 2 else nb.from_numpy(mine)
        y = dist.all_reduce_shared(x, op)
        same(y.array, expected(op, world, (n,), "float32"))
        same(x.array, mine)
        found.append(offset_of(y))
    return found


@pytest.mark.parametrize("n", [1, 1000, 16_384, 300_001, 1_500_007])
@pytest.mark.parametrize("op", [ReduceOp.SUM, ReduceOp.AVG])
def test_one_result_for_all(group3, n, op):
    found = group3.call(everywhere, sums, n, op)
    large = 4 * n >= 1 << 16
    assert found[0] == found[1] == found[2]
    assert all(bool(offset) == large for offset in found[0])


def lifetime(rank, world):
    x = nb.ones(50_000) * (rank + 1)
    y = dist.all_reduce_shared(x)
    block = block_of(y.array)
    dist.barrier()
    assert arena.holders(block) == world
    assert not y.array.flags.writeable
    dist.barrier()
    z = nb.Tensor(y.array)
    z += 1  # moves to memory of its own
    assert (y.array == 3).all()
    assert (z.array == 4).all()
    dist.barrier()
    if rank == 1:
        del y, z
    dist.barrier()
    if rank == 0:
        assert arena.holders(block) == 1
    dist.barrier()
    work = dist.all_reduce_shared(x, async_op=True)
    t = work.result()
    assert (t.array == 3).all()
    assert work.get_future().wait().array.shape == (50_000,)
    dist.barrier()


def test_the_last_reader_gives_it_back(group2):
    group2.call(everywhere, lifetime)


def differ(rank, world):
    binding = State.default.premises.binding
    found = error_of(dist.all_reduce_shared, nb.ones(50_000 + rank))
    for _ in range(20):
        y = dist.all_reduce_shared(nb.ones(50_000))
        assert (y.array == world).all()
    assert binding is State.default.premises.binding
    return found


def test_differences_cost_no_memory(group2):
    assert [kind for kind, _ in group2.call(everywhere, differ)] == ["DesyncError"] * 2


def full_arena(rank, world):
    """The keeper has no room: every member gets a result of its own."""
    State.default.premises.binding.empty = lambda shape, dtype: None
    try:
        for k in range(4):
            y = dist.all_reduce_shared(nb.from_numpy(np.full(50_000, rank + k, np.float32)))
            assert (y.array == sum(p + k for p in range(world))).all()
            assert not block_of(y.array)
    finally:
        del State.default.premises.binding.empty


def test_without_room(group3):
    group3.call(everywhere, full_arena)


def four(index):
    """Both forms of a sum on four workers, the same bits on all."""
    dist.init_process_group("gloo", rank=index, world_size=4, timeout=30)
    for n in (1, 3000, 100_003):
        wanted = expected(ReduceOp.SUM, 4, (n,), "float32")
        for make in (nb.from_numpy, lambda array: nb.from_numpy(array) + 0):
            x = make(values(index, (n,), "float32"))
            same(dist.all_reduce_shared(x).array, wanted)
            dist.all_reduce(x)
            same(x.array, wanted)
    dist.destroy_process_group()


def test_exact_on_four_workers(nothing_left):
    nb.multiprocessing.spawn(four, nprocs=4)
