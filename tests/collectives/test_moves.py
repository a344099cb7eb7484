"""gather, scatter, reduce_scatter, all_to_all: values against NumPy, for small and large tensors."""

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.distributed import ReduceOp
from tests.collectives.everywhere import error_of, everywhere
from tests.collectives.test_api import same, values

SHAPES = [(1,), (3, 4), (200, 60), (100_000,)]


def piece(rank, k, shape, dtype=np.float32):
    """What a rank has for member k."""
    return values(rank, shape, dtype, seed=k + 1)


def made(array, k):
    """A tensor: in the segment if it is large, or in private memory."""
    return nb.tensor(array) + 0 if k % 2 else nb.from_numpy(array.copy())


def to_one(rank, world, dtype):
    for shape in SHAPES:
        for root in range(world):
            x = made(values(rank, shape, dtype), root)
            outs = [nb.zeros(shape, dtype=dtype) for _ in range(world)] if rank == root else None
            dist.gather(x, outs, dst=root)
            for p in range(world if outs else 0):
                same(outs[p].array, values(p, shape, dtype))


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_gather(group3, dtype):
    group3.call(everywhere, to_one, dtype)


def from_one(rank, world):
    for shape in SHAPES:
        for root in range(world):
            out = made(np.zeros(shape, np.float32), root)
            pieces = [made(piece(root, k, shape), k) for k in range(world)]
            dist.scatter(out, pieces if rank == root else None, src=root)
            same(out.array, piece(root, rank, shape))


def test_scatter(group3):
    group3.call(everywhere, from_one)


def sums_of_pieces(rank, world, op):
    for shape in SHAPES:
        wanted = piece(0, rank, shape)
        for p in range(1, world):
            other = piece(p, rank, shape)
            wanted = np.maximum(wanted, other) if op == ReduceOp.MAX else wanted + other
        for kind in range(2):
            out = made(np.zeros(shape, np.float32), kind)
            dist.reduce_scatter(out, [made(piece(rank, k, shape), kind) for k in range(world)], op)
            same(out.array, wanted)
            whole = made(np.concatenate([piece(rank, k, shape) for k in range(world)]), kind)
            dist.reduce_scatter_tensor(out, whole, op)
            same(out.array, wanted)
            own = whole[rank * shape[0] : (rank + 1) * shape[0]]  # in place
            dist.reduce_scatter_tensor(own, whole, op)
            same(own.array, wanted)


@pytest.mark.parametrize("op", [ReduceOp.SUM, ReduceOp.MAX])
def test_reduce_scatter(group3, op):
    group3.call(everywhere, sums_of_pieces, op)


def exchanged(rank, world):
    for shape in SHAPES:
        for kind in range(2):
            ins = [made(piece(rank, k, shape), kind) for k in range(world)]
            outs = [made(np.zeros(shape, np.float32), kind) for _ in range(world)]
            dist.all_to_all(outs, ins)
            for p in range(world):
                same(outs[p].array, piece(p, rank, shape))
            whole = made(np.concatenate([x.array for x in ins]), kind)
            out = nb.zeros_like(whole)
            dist.all_to_all_single(out, whole)
            same(out.array, np.concatenate([piece(p, rank, shape) for p in range(world)]))


def test_all_to_all(group3):
    group3.call(everywhere, exchanged)


def rows(p, q, n):
    """How many rows go from p to q."""
    return n * (p + 2 * q) % 7


def uneven(rank, world, n):
    ins = [rows(rank, q, n) for q in range(world)]
    outs = [rows(p, rank, n) for p in range(world)]
    parts = [piece(rank, q, (k, 3)) for q, k in enumerate(ins)]
    x = nb.tensor(np.concatenate(parts))
    y = nb.zeros(sum(outs), 3)
    dist.all_to_all_single(y, x, outs, ins)
    wanted = np.concatenate([piece(p, rank, (k, 3)) for p, k in enumerate(outs)])
    same(y.array, wanted)
    received = [nb.zeros(k, 3) for k in outs]
    dist.all_to_all(received, [nb.tensor(part) for part in parts])
    same(np.concatenate([r.array for r in received]), wanted)


@pytest.mark.parametrize("n", [1, 3000])
def test_all_to_all_of_different_sizes(group3, n):
    group3.call(everywhere, uneven, n)


def refusals(rank, world):
    x = nb.ones(4)
    lists = [nb.ones(4)] * world
    found = [
        error_of(dist.gather, x, lists if rank == 1 else None, dst=0),
        error_of(dist.scatter, x, None, src=rank),
        error_of(dist.reduce_scatter, x, lists[1:]),
        error_of(dist.reduce_scatter_tensor, x, nb.ones(5)),
        error_of(dist.all_to_all_single, x, nb.ones(5)),
        error_of(dist.all_to_all_single, x, x, [1, 2], [2, 2]),
        error_of(dist.all_to_all, lists, [nb.ones(4 + rank)] * world),  # sizes do not fit
        error_of(dist.all_to_all, lists, [nb.ones(4).double()] * world),
    ]
    dist.all_to_all(lists, [x + 0] * world)
    return found


def test_what_does_not_fit_is_refused(group2):
    for rank, found in enumerate(group2.call(everywhere, refusals)):
        assert [error[0] for error in found] == ["ShapeError"] * 8
        parts = ["given here" if rank else "missing here", "missing here", "got 1 entries", "does not hold 2",
                 "can't be split into 2", "add up to the 4 rows", "rank 1 sends 20 bytes to rank 0", "one dtype"]  # fmt: skip
        assert all(part in error[1] for error, part in zip(found, parts)), found
