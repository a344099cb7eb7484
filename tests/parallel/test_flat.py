"""Where parameters lie: each at the begin of a cache line, slices that together are all, each once."""

import numpy as np

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.collectives.membership import State
from nbgrad.parallel.flat import Flat
from tests.collectives.everywhere import everywhere


def placed(rank, world):
    params = [nb.nn.Parameter(nb.full(shape, float(rank))) for shape in ((3,), (17, 2), (), (40,))]
    flat = Flat(State.default, params, 1)
    dist.barrier()
    flat.move_in(rank == 0)
    dist.barrier()
    assert all(p.array is view for p, view in zip(params, flat.owners[0]))
    assert flat.strayed() == -1
    assert [p.shape for p in params] == [(3,), (17, 2), (), (40,)]
    assert all((p.array == 0).all() for p in params), "the first worker's values"
    assert all(p.array.ctypes.data % 64 == 0 for p in params)
    assert not flat.states[0].any()
    dist.barrier()
    flat.values[flat.first_own : flat.last_own] += 1
    dist.barrier()
    ones = [bool((p.array == 1).all()) for p in params]
    dist.barrier()
    params[1].array = np.zeros((17, 2), np.float32)
    return ones, flat.strayed(), flat.first_own % 16, flat.last_own - flat.first_own


def test_slices_are_all_together(group3):
    found = group3.call(everywhere, placed)
    assert [one[:3] for one in found] == [([True] * 4, 1, 0)] * 3
    assert sum(one[3] for one in found) == 16 + 48 + 16 + 48


def nothing(rank, world):
    flat = Flat(State.default, [nb.nn.Parameter(nb.empty(0))], 0)
    dist.barrier()
    flat.move_in(rank == 0)
    return flat.values.size


def test_a_model_without_elements(group2):
    assert group2.call(everywhere, nothing) == [16, 16]
