"""Binding: arrays in the arena, their blocks, growth and exhaustion."""

import threading

import numpy as np
import pytest

from nbgrad.shm import arena
from nbgrad.shm.binding import block_of
from nbgrad.shm.segment import CHUNK
from tests.shm.place import bindings

F8 = np.dtype("f8")


@pytest.fixture
def binding():
    with bindings(1, arena_bytes=1 << 26) as (found,):
        yield found


def test_an_array_lies_in_the_arena_and_gives_its_block_back(binding):
    x = binding.empty((30, 40), F8)
    assert (x.shape, x.dtype, x.flags.c_contiguous, x.flags.writeable) == ((30, 40), F8, True, True)
    block = block_of(x)
    assert binding.arena < block < binding.arena + (1 << 26)
    view = x[3:]
    del x
    assert arena.holders(block) == 1  # the view keeps it
    del view
    assert block_of(binding.empty((30, 40), F8)) == block


def test_a_full_arena_gives_none_and_recovers(binding):
    held = []
    while (x := binding.empty((1 << 20,), F8)) is not None:
        held.append(x)
    assert 3 <= len(held) <= 8
    held.pop()
    x = None
    assert binding.empty((1 << 20,), F8) is not None


def test_threads_that_need_more_at_the_same_time_commit_it_once(binding, monkeypatch):
    """Each of them grew it by half as much again: seen, 20 threads took 23 GB for arrays of 132 MB."""
    n_threads, sizes = 12, []
    all_there = threading.Barrier(n_threads)
    commit = binding.segment.commit

    def note(offset, n_bytes):
        sizes.append(n_bytes)
        commit(offset, n_bytes)

    def allocate(arena_, n_bytes):
        block = real(arena_, n_bytes)
        if block < 0 and not binding.segment.lock._is_owned():
            all_there.wait(10)  # each has seen that there is too little
        return block

    real = arena.allocate
    monkeypatch.setattr(binding.segment, "commit", note)
    monkeypatch.setattr(arena, "allocate", allocate)
    held = []
    threads = [
        threading.Thread(target=lambda: held.append(binding.empty((1 << 14,), F8)))
        for _ in range(n_threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({block_of(x) for x in held}) == n_threads
    assert sizes == [CHUNK]


def test_dtypes_that_do_not_travel_get_none(binding):
    assert binding.empty((3,), np.dtype(object)) is None


def test_private_arrays_have_no_block():
    assert block_of(np.ones(3)) == 0
    assert block_of(np.ones(3)[1:]) == 0


def test_blocks_of_another_segment_and_pinned_ones_do_not_travel(binding):
    x = binding.empty((30, 40), F8)
    assert binding.block_of(x) == block_of(x) > 0
    assert binding.travels(x)
    with bindings(1, arena_bytes=1 << 26) as (other,):
        y = other.empty((30, 40), F8)
        assert block_of(y) > 0
        assert binding.block_of(y) == 0
        assert not binding.travels(y)
    arena.set_pinned(block_of(x), arena.IS_PINNED)
    assert binding.block_of(x) > 0
    assert not binding.travels(x)
