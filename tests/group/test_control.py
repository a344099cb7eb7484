"""The control part of a segment: made, poisoned, woken, emptied."""

import threading

import pytest

from nbgrad.group import control
from nbgrad.shm import arena, bell, futex, words
from nbgrad.shm.layout import (
    BELL,
    EPOCH,
    EXIT,
    FAILED,
    GENERATION,
    JOINED,
    LEFT,
    MAGIC,
    MAGIC_VALUE,
    MEET,
    PID,
    POISON,
    SLEEP,
    SLOTS,
    STANDBY,
    WORLD,
    Layout,
)
from nbgrad.shm.ring import HEAD
from nbgrad.shm.segment import Segment

LAYOUT = Layout(3, ring_capacity=4096, arena_bytes=1 << 20)
SECOND_NS = 1_000_000_000


@pytest.fixture
def segment():
    segment = Segment.inherited(LAYOUT.size_bytes)
    control.commit(segment, LAYOUT)
    control.initialise(segment, LAYOUT, 7)
    yield segment
    segment.unmap()
    segment.close()


def test_constants_are_written(segment):
    assert words.load(segment.address + MAGIC) == MAGIC_VALUE
    assert words.load(segment.address + WORLD) == 3
    assert arena.committed(segment.address + LAYOUT.arena(2)) == arena.FIRST


def test_names_are_kept(segment):
    block = segment.address + LAYOUT.worker(1)
    assert control.read_name(block) == ""
    control.write_name(block, "prüfer")
    assert control.read_name(block) == "prüfer"


def test_the_first_death_is_the_root_cause(segment):
    base = segment.address
    assert control.find_poison(base + LAYOUT.worker(0), 3) == 0
    control.note_death(base, LAYOUT, 2, 11)
    control.note_death(base, LAYOUT, 0, 12)
    control.note_death(base, LAYOUT, 2, 13)  # the word of a worker is set once
    assert control.find_poison(base + LAYOUT.worker(0), 3) == 1
    assert words.load(base + FAILED) == 3
    assert words.load(base + LAYOUT.worker(2) + POISON) == 11


def test_an_exit_is_no_death(segment):
    control.note_exit(segment.address, LAYOUT, 1, 1)
    assert words.load(segment.address + LAYOUT.worker(1) + EXIT) == 1
    assert control.find_poison(segment.address + LAYOUT.worker(0), 3) == 0


@pytest.mark.parametrize("place", [BELL, STANDBY, EPOCH, MEET])
def test_a_death_wakes_every_sleeper(segment, place):
    base = segment.address
    found = []
    threads = []
    for rank in range(3):
        block = base + LAYOUT.worker(rank)
        value = 0
        if place == BELL:
            assert bell.fall_asleep(block) == 1
            value = SLEEP
        # As in waiting.py the value is read before the sleep: a wake-up in between makes it return at once.
        threads.append(
            threading.Thread(
                target=lambda word=block + place, value=value: found.append(
                    futex.wait(word, value, 10 * SECOND_NS)
                )
            )
        )
    for thread in threads:
        thread.start()
    control.note_death(base, LAYOUT, 1, 5)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert set(found) <= {0, futex.EAGAIN}


def test_reset_empties_all_but_exits_and_moves_the_generation_on(segment):
    base = segment.address
    before = words.load(base + GENERATION)
    for rank in range(3):
        block = base + LAYOUT.worker(rank)
        words.store(block + PID, 1234)
        words.store(block + EXIT, 1)
        words.store(block + BELL, 3)
        words.store(base + LAYOUT.ring(rank, 1), 64)
        words.store(base + LAYOUT.ring(rank, 1) + HEAD, 32)
        words.store(base + LAYOUT.pass_row(rank, 5), 9)
        words.store(base + LAYOUT.slot(rank, SLOTS - 1), 9)
    words.store(base + JOINED, 3)
    words.store(base + LEFT, 3)
    control.reset(base, LAYOUT)
    for rank in range(3):
        block = base + LAYOUT.worker(rank)
        assert [words.load(block + word) for word in (PID, EXIT, BELL)] == [0, 1, 0]
        assert words.load(base + LAYOUT.ring(rank, 1)) == 0
        assert words.load(base + LAYOUT.ring(rank, 1) + HEAD) == 0
        assert words.load(base + LAYOUT.pass_row(rank, 5)) == 0
        assert words.load(base + LAYOUT.slot(rank, SLOTS - 1)) == 0
    assert [words.load(base + word) for word in (JOINED, LEFT)] == [0, 0]
    assert words.load(base + GENERATION) == before + 1


def test_rank_of_a_process(segment):
    words.store(segment.address + LAYOUT.worker(2) + PID, 77)
    assert control.rank_of(77, segment.address, LAYOUT) == 2
    assert control.rank_of(78, segment.address, LAYOUT) == -1


def test_rehearsal_touches_nothing_shared(segment):
    control.rehearse()
    assert control.find_poison(segment.address + LAYOUT.worker(0), 3) == 0
