"""all_reduce, reduce, broadcast, all_gather, barrier: values against NumPy, wherever arrays lie and however large they are."""

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.distributed import ReduceOp
from nbgrad.shm import arena
from nbgrad.shm.binding import block_of
from tests.collectives.everywhere import error_of, everywhere

SHAPES = [
    (),
    (0,),
    (1,),
    (3, 4),
    (5000,),
    (300, 301),
]  # the last: 361,200 bytes of float32, more than two boxes
FLOATS, INTEGERS = ("float32", "float64"), ("int8", "int16", "int32", "int64", "uint8")
NUMPY = {
    ReduceOp.SUM: np.add.reduce,
    ReduceOp.AVG: lambda xs, dtype: (np.add.reduce(xs, dtype=dtype) / dtype.type(len(xs))).astype(dtype),
    ReduceOp.PRODUCT: np.multiply.reduce,
    ReduceOp.MIN: lambda xs, dtype: np.minimum.reduce(xs),
    ReduceOp.MAX: lambda xs, dtype: np.maximum.reduce(xs),
    ReduceOp.BAND: lambda xs, dtype: np.bitwise_and.reduce(xs),
    ReduceOp.BOR: lambda xs, dtype: np.bitwise_or.reduce(xs),
    ReduceOp.BXOR: lambda xs, dtype: np.bitwise_xor.reduce(xs),
}  # fmt: skip


def values(rank, shape, dtype, seed=0):
    """What a rank has: the same array wherever this is called."""
    rng = np.random.default_rng((rank, seed))
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return np.asarray(rng.normal(size=shape)).astype(dtype)
    high = 2 if dtype.kind == "b" else 100
    return np.asarray(rng.integers(0, high, size=shape)).astype(dtype)


def expected(op, world, shape, dtype):
    """The sum of what all ranks have."""
    dtype = np.dtype(dtype)
    stacked = np.stack([values(rank, shape, dtype) for rank in range(world)])
    if dtype.kind == "b":
        op = {ReduceOp.SUM: ReduceOp.BOR, ReduceOp.PRODUCT: ReduceOp.BAND}.get(op, op)
    return np.asarray(NUMPY[op](stacked, dtype=dtype))


def same(found, wanted):
    """Bit by bit."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert found.tobytes() == wanted.tobytes(), (found, wanted)


# ---------------------------------------------------------------- all_reduce


def sums(rank, world, cases):
    for op, dtype in cases:
        sums_of(rank, world, op, dtype)


def sums_of(rank, world, op, dtype):
    for shape in SHAPES:
        for _ in range(2):  # the second time small ones go the fast way
            x = nb.tensor(values(rank, shape, dtype))
            assert dist.all_reduce(x, op) is None
            same(x.array, expected(op, world, shape, dtype))


@pytest.mark.parametrize("op", [ReduceOp.SUM, ReduceOp.MAX])
def test_all_reduce_of_every_dtype(group2, op):
    group2.call(everywhere, sums, [(op, dtype) for dtype in (*FLOATS, *INTEGERS, "bool")])


@pytest.mark.parametrize(
    ("dtype", "ops"), [("float32", slice(5)), ("uint8", slice(5, 8)), ("bool", slice(2, 8))]
)
def test_all_reduce_with_every_operation(group3, dtype, ops):
    group3.call(everywhere, sums, [(op, dtype) for op in list(ReduceOp)[ops]])


def in_the_arena(rank, world, n):
    """All ranks, or some of them, have their tensors in the segment."""
    for k, shared in enumerate(({0, 1, 2}, {0}, {1, 2}, set())):
        mine = values(rank, (n,), np.float32, k)
        x = nb.zeros(n) if rank in shared else nb.from_numpy(np.zeros(n, np.float32))
        assert bool(block_of(x.array)) == (rank in shared)
        x.array[:] = mine
        dist.all_reduce(x)
        stacked = [values(p, (n,), np.float32, k) for p in range(world)]
        wanted = stacked[0]
        for other in stacked[1:]:
            wanted = wanted + other  # in the order of the ranks
        same(x.array, wanted)


@pytest.mark.parametrize("n", [16384, 100_003])
def test_tensors_in_shared_memory_and_elsewhere(group3, n):
    group3.call(everywhere, in_the_arena, n)


def nan_and_infinity(rank, world):
    x = nb.tensor([float("nan"), 1.0, float("inf"), -0.0] if rank == 1 else [1.0, 2.0, 3.0, 0.0])
    for op in (ReduceOp.MIN, ReduceOp.MAX, ReduceOp.SUM):
        y = x.clone()
        dist.all_reduce(y, op)
        assert np.isnan(y.array[0])
        assert np.isinf(y.array[2]) == (op != ReduceOp.MIN)


def test_nan_stays_nan(group2):
    group2.call(everywhere, nan_and_infinity)


def views(rank, world):
    base = nb.arange(24.0).reshape(4, 6)
    column = base[:, 2]
    assert not column.is_contiguous()
    dist.all_reduce(column)
    assert base.array[:, 2].tolist() == [world * (6.0 * k + 2) for k in range(4)]
    assert base.array[:, 1].tolist() == [6.0 * k + 1 for k in range(4)]
    row = base[1]
    dist.all_reduce(row)
    assert base.array[1].tolist() == [world * x for x in (6, 7, world * 8, 9, 10, 11)]
    array = np.ones(3)
    dist.all_reduce(array)
    assert array.tolist() == [world] * 3


def test_views_and_arrays_are_written_where_they_are(group2):
    group2.call(everywhere, views)


def held_elsewhere(rank, world):
    """A tensor whose memory a message holds moves before it is written."""
    n = 40_000
    x = nb.ones(n)
    kept = x.detach()
    block = block_of(x.array)
    holder = arena.generation(block)
    assert arena.hold(block, holder) == 1
    dist.all_reduce(x)
    assert (x.array == world).all()
    assert (kept.array == 1).all()
    assert block_of(x.array) != block
    arena.release(block, holder)


def test_values_that_others_hold_are_not_written(group2):
    group2.call(everywhere, held_elsewhere)


# ---------------------------------------------------------------- reduce, broadcast, all_gather


def to_one(rank, world, dtype):
    for shape in SHAPES:
        for root in range(world):
            x = nb.tensor(values(rank, shape, dtype)) + 0
            before = x.array.copy()
            dist.reduce(x, dst=root)
            same(x.array, expected(ReduceOp.SUM, world, shape, dtype) if rank == root else before)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_reduce(group3, dtype):
    group3.call(everywhere, to_one, dtype)


def from_one(rank, world, dtype):
    for shape in SHAPES:
        for root in range(world):
            for make in (nb.tensor, lambda array: nb.tensor(array) + 0):
                x = make(values(rank, shape, dtype))
                dist.broadcast(x, root)
                same(x.array, values(root, shape, dtype))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_broadcast(group3, dtype):
    group3.call(everywhere, from_one, dtype)


def gathers(rank, world, dtype):
    for shape in SHAPES:
        x = nb.tensor(values(rank, shape, dtype))
        outs = [nb.zeros(shape, dtype=dtype) for _ in range(world)]
        dist.all_gather(outs, x)
        for p in range(world):
            same(outs[p].array, values(p, shape, dtype))
        if shape:
            wanted = np.stack([values(p, shape, dtype) for p in range(world)])
            for out in (
                nb.zeros(world, *shape, dtype=dtype),
                nb.zeros(world * shape[0], *shape[1:], dtype=dtype),
            ):
                dist.all_gather_into_tensor(out, x)
                assert out.array.tobytes() == wanted.tobytes()
            whole = nb.zeros(world * shape[0], *shape[1:], dtype=dtype)
            own = whole[rank * shape[0] : (rank + 1) * shape[0]]  # in place
            own.array[...] = x.array
            dist.all_gather_into_tensor(whole, own)
            assert whole.array.tobytes() == wanted.tobytes()
            dist.all_gather(list(whole.zero_().chunk(world)) if shape[0] else [whole] * world, x)
            assert whole.array.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_all_gather(group3, dtype):
    group3.call(everywhere, gathers, dtype)


def barriers(rank, world):
    for _ in range(100):
        dist.barrier()
    dist.monitored_barrier(timeout=5)
    assert dist.barrier(async_op=True).wait()


def test_barrier(group3):
    group3.call(everywhere, barriers)


# ---------------------------------------------------------------- what is refused


def refusals(rank, world):
    x = nb.ones(3)
    half = np.ones(3, np.float16)
    found = [
        error_of(dist.all_reduce, half),
        error_of(dist.all_reduce, nb.tensor([1, 2]), ReduceOp.AVG),
        error_of(dist.all_reduce, x, ReduceOp.BOR),
        error_of(dist.all_reduce, x, "sum"),
        error_of(dist.broadcast, x, 7),
        error_of(dist.broadcast, x),
        error_of(dist.reduce, x, 0, group_dst=0),
        error_of(dist.all_gather, [x], x),
        error_of(dist.all_gather, [nb.ones(4)] * world, x),
        error_of(dist.all_gather_into_tensor, nb.ones(5), x),
        error_of(dist.all_reduce, x.to_sparse()),
        error_of(dist.all_reduce, [1.0]),
    ]
    dist.all_reduce(x)  # the group goes on
    assert x.tolist() == [world] * 3
    return found


def test_what_can_not_be_is_refused_by_name(group2):
    for found in group2.call(everywhere, refusals):
        kinds = [error and error[0] for error in found]
        assert kinds == ["DtypeError"] * 4 + ["ProcessGroupError"] * 3 + ["ShapeError"] * 3 + [
            "DtypeError",
            "DtypeError",
        ]
        for error, part in zip(found, [
            "float16", "AVG is for float32 or float64", "BOR is for integers", "'sum'", "rank 7", "say which rank src is",
            "not both", "2 of them", "(4,)", "(5,)", "sparse", "got a list"]):  # fmt: skip
            assert part in error[1]
