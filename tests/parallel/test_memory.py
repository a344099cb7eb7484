"""Memory that all members see: it is the same, it is written in place, and it outlives the group."""

import numpy as np

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.collectives.membership import State
from nbgrad.parallel import memory
from nbgrad.shm import words
from nbgrad.shm.binding import block_of
from tests.collectives.everywhere import error_of, everywhere


def seen_by_all(rank, world):
    shared = memory.common(State.default, 64 * world)
    shared[:] = 0
    dist.barrier()
    shared[rank] = rank + 1
    x = nb.nn.Parameter(shared.view(np.float32)[16:32])
    x.requires_grad_(False)
    assert block_of(x.array) == 0, "it is written in place, whoever holds it"
    dist.barrier()
    if rank == 0:
        x.fill_(2.0)
    dist.barrier()
    return shared[:world].tolist(), x.tolist()[:2]


def test_all_see_what_one_writes(group3):
    for found in group3.call(everywhere, seen_by_all):
        assert found == ([1, 2, 3], [2.0, 2.0])


def own_places(rank, world):
    mine, places = memory.own(State.default, 128)
    assert not mine.any()
    mine.view(np.int64)[0] = 10 + rank
    dist.barrier()
    found = [words.load(place) for place in places]
    dist.barrier()
    return found


def test_all_know_where_the_others_is(group3):
    assert group3.call(everywhere, own_places) == [[10, 11, 12]] * 3


def too_much(rank, world):
    return error_of(memory.common, State.default, 1 << 60), error_of(
        memory.own, State.default, 1 << 60
    )


def test_no_room(group2):
    for both in group2.call(everywhere, too_much):
        assert [error[0] for error in both] == ["SharedMemoryFull"] * 2
