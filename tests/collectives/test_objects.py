"""Collectives of objects: whatever can be pickled, of any size."""

import numpy as np

import nbgrad as nb
import nbgrad.distributed as dist
from tests.collectives.everywhere import error_of, everywhere


def thing(rank, n=3):
    return {"rank": rank, "text": "x" * (10 ** (rank + n)), "array": np.arange(rank)}


def same(a, b):
    return (
        a["rank"] == b["rank"] and a["text"] == b["text"] and np.array_equal(a["array"], b["array"])
    )


def gathers(rank, world):
    for n in (0, 3, 4):
        found = [None] * world
        dist.all_gather_object(found, thing(rank, n))
        assert all(same(found[p], thing(p, n)) for p in range(world))
        found = [None] * world if rank == 1 else None
        dist.gather_object(thing(rank, n), found, dst=1)
        assert rank != 1 or all(same(found[p], thing(p, n)) for p in range(world))


def test_gather_objects(group3):
    group3.call(everywhere, gathers)


def spreads(rank, world):
    for n in (0, 5):
        found = [thing(2, n), rank] if rank == 2 else [None, None]
        dist.broadcast_object_list(found, src=2)
        assert same(found[0], thing(2, n))
        assert found[1] == 2
        out = [None]
        pieces = [thing(p, n - 2 if n else 0) for p in range(world)] if rank == 0 else None
        dist.scatter_object_list(out, pieces, src=0)
        assert same(out[0], thing(rank, n - 2 if n else 0))
    x = [nb.ones(3)] if rank == 0 else [None]
    dist.broadcast_object_list(x)
    assert x[0].tolist() == [1, 1, 1]


def test_broadcast_and_scatter_objects(group3):
    group3.call(everywhere, spreads)


def refused(rank, world):
    found = [
        error_of(dist.all_gather_object, [None], 1),
        error_of(dist.gather_object, 1, None if rank == 0 else [None] * world, 0),
        error_of(dist.broadcast_object_list, [None] * (1 + rank), 0),
        error_of(dist.scatter_object_list, [], [1] * world, 0),
        error_of(dist.all_gather_object, [None] * world, lambda: 0),
    ]
    dist.barrier()
    return found


def test_what_does_not_fit_is_refused(group2):
    for found in group2.call(everywhere, refused):
        assert [error[0] for error in found[:4]] == ["ShapeError"] * 4
        assert "have [1, 2]" in found[2][1]
        assert found[4][0] in ("PicklingError", "AttributeError")
