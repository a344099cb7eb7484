"""Arena: size classes, recycling, holders; the schedules are stepped in tests/simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbgrad.shm import arena, words
from nbgrad.shm.segment import Segment
from tests.conftest import processes
from tests.shm.place import unique

MIB = 1 << 20
N_HAMMER = 20_000


@pytest.fixture
def place():
    segment = Segment.inherited(8 * MIB)
    segment.commit(0, 8 * MIB)
    arena.init(segment.address, 8 * MIB)
    arena.set_committed(segment.address, 8 * MIB)
    yield segment.address
    segment.close()
    segment.unmap()


@given(st.integers(1, 1 << 40))
def test_a_class_holds_its_sizes_without_much_waste(n_bytes):
    size_class = arena.class_of(n_bytes)
    holds = arena.class_bytes(size_class)
    assert n_bytes <= holds
    assert size_class == 0 or arena.class_bytes(size_class - 1) < n_bytes
    assert holds <= max(4096, n_bytes * 1.26)


def test_blocks_do_not_overlap_and_are_recycled(place):
    blocks = [arena.allocate(place, size) for size in (1, 5000, 70_000, 70_000)]
    ends = [block + arena.HEADER + size for block, size in zip(blocks, (1, 5000, 70_000, 70_000))]
    assert all(end <= following for end, following in zip(ends, blocks[1:]))
    assert all(block % 64 == 0 for block in blocks)
    arena.release(blocks[2], 1)
    assert arena.allocate(place, 69_000) == blocks[2]


def test_a_recycled_block_has_a_new_generation(place):
    block = arena.allocate(place, 100)
    before = arena.generation(block)
    arena.release(block, 1)
    assert arena.generation(arena.allocate(place, 100)) == before + 1


def test_full_and_not_committed_are_told_apart(place):
    arena.set_committed(place, 1 * MIB)
    assert arena.allocate(place, 2 * MIB) < 0
    arena.set_committed(place, 8 * MIB)
    assert arena.allocate(place, 2 * MIB) > 0
    assert arena.allocate(place, 16 * MIB) == 0


def test_only_the_last_holder_gives_back(place):
    block = arena.allocate(place, 100)
    assert arena.hold(block, 1)
    assert arena.release(block, 1) == 1
    assert arena.allocate(place, 100) != block
    assert arena.release(block, 1) == 0


def test_a_writer_excludes_snapshots_and_snapshots_a_writer(place):
    block = arena.allocate(place, 100)
    assert arena.begin_write(block)
    assert not arena.hold(block, 1)
    assert not arena.begin_write(block)
    arena.end_write(block)
    assert arena.hold(block, 1)
    assert not arena.begin_write(block)


def return_blocks(rank, world):
    """Rank 0 allocates and hands out blocks; all give them back at once."""
    segment = Segment.attach(unique("test-arena"))
    base, mail = segment.address, segment.address + 4 * MIB  # one word per rank: an offset, or 0
    try:
        done = 0
        while done < N_HAMMER:
            if rank == 0:
                for k in range(1, world):
                    if words.load(mail + 64 * k) == 0:
                        block = arena.allocate(base, 100)
                        assert block > 0
                        assert arena.holders(block) == 1
                        words.store(mail + 64 * k, block - base)
                        done += 1
            else:
                offset = words.exchange(mail + 64 * rank, 0)
                if offset > 0:
                    assert arena.release(base + offset, arena.generation(base + offset)) == 0
                elif offset < 0:
                    return True
        for k in range(1, world):
            while words.cas(mail + 64 * k, 0, -1) != 0:
                pass
        return words.load(base + arena.BUMP) < 64 * 4224
    finally:
        segment.close()


def test_blocks_come_back_from_other_processes(on_workers):
    segment = Segment.create(unique("test-arena"), 8 * MIB)
    try:
        segment.commit(0, 8 * MIB)
        arena.init(segment.address, 4 * MIB)
        arena.set_committed(segment.address, 4 * MIB)
        assert on_workers(return_blocks, world=3, deadline=60) == [True] * 3
    finally:
        segment.close()


def test_np_sees_the_memory(place):
    block = arena.allocate(place, 800)
    words.store(block + arena.HEADER, 5)
    assert words.load(block + arena.HEADER) == 5
    assert np.iinfo(np.int64).max > arena.WRITING


def take_and_give(name, offset):
    """Hold a block and give it back until killed."""
    segment = Segment.attach(name)
    while True:
        if arena.hold(segment.address + offset, arena.generation(segment.address + offset)) > 0:
            arena.release(segment.address + offset, arena.generation(segment.address + offset))


def test_a_killed_holder_costs_one_holder_at_most(nothing_left):
    """A2, V3: its block may never come back, but it does not come back twice either, and others go on."""
    segment = Segment.create(unique("test-killed-holder"), MIB)
    try:
        segment.commit(0, MIB)
        arena.init(segment.address, MIB)
        arena.set_committed(segment.address, MIB)
        for n_killed in range(5):
            block = arena.allocate(segment.address, 100)
            arguments = (unique("test-killed-holder"), block - segment.address)
            process = processes.Process(target=take_and_give, args=arguments)
            process.start()
            while arena.holders(block) == 1:
                pass
            process.kill()
            process.join()
            process.close()
            left = arena.holders(block)
            assert left in (1, 2)
            assert arena.release(block, arena.generation(block)) == left - 1
            assert (arena.allocate(segment.address, 100) == block) == (left == 1), n_killed
    finally:
        segment.close()
        segment.unmap()
