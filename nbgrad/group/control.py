"""The control part of a segment: make it, note a death in it, wake all who sleep, empty it for the next generation.

Note [Generations]
~~~~~~~~~~~~~~~~~~
A group lives in its segment from the first join to the last leave; then the same processes may join again.
    join     take the rank's PID word (CAS from 0), NAME, STATE = READY, then JOINED += 1; wait until JOINED == world
    leave    STATE = GONE, then LEFT += 1; whoever brings it to world empties the control part and moves GENERATION on
Assumes  a process leaves only when no thread of it looks at its rings, doorbell or rows any more.
J1 (whole)   once JOINED == world it stays so until the generation ends: a join that gives up takes itself away by a
             CAS that fails there, so all members see the group complete, or none goes on.
J2 (apart)   a process that comes back early waits for GENERATION to move, so it never touches a block that is being
             emptied.
J3 (death)   a worker that dies or gives up never leaves, so LEFT never reaches world and a poisoned generation is never reused.
The arenas are not emptied: arrays in them may outlive the group, and their blocks come back by their holders.
"""

import ctypes

from nbgrad.jit import kernel
from nbgrad.jit.primitive import poke
from nbgrad.shm import arena, ring, words
from nbgrad.shm.atomics import cas, fetch_add32, fetch_or32, load, store
from nbgrad.shm.futex import ALL, wake
from nbgrad.shm.layout import (
    ARENA_BYTES,
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
    NAME,
    NAME_BYTES,
    NAME_SIZE,
    PAGE,
    PID,
    POISON,
    RING_CAPACITY,
    STANDBY,
    STATE,
    VERSION,
    WORLD,
    Layout,
)
from nbgrad.shm.segment import Segment


def commit(segment: Segment, layout: Layout) -> None:
    """Take memory for header, blocks, rings, pass rows and the first page of each arena; context rows come later."""
    segment.commit(0, layout.contexts)
    for rank in range(layout.world):
        segment.commit(layout.arena(rank), PAGE)


def initialise(segment: Segment, layout: Layout, version: int) -> None:
    """Write the constants of a committed, zeroed segment; the magic word last, so who sees it sees all of them."""
    base = segment.address
    for offset, value in (
        (VERSION, version),
        (WORLD, layout.world),
        (RING_CAPACITY, layout.ring_capacity),
        (ARENA_BYTES, layout.arena_bytes),
        (GENERATION, 1),
    ):
        words.store(base + offset, value)
    for source in range(layout.world):
        for target in range(layout.world):
            ring.init(base + layout.ring(source, target), layout.ring_capacity)
        arena.init(base + layout.arena(source), layout.arena_bytes)
    words.store(base + MAGIC, MAGIC_VALUE)


def write_name(worker: int, name: str) -> None:
    """Put a worker's name into its block."""
    text = name.encode()[:NAME_BYTES]
    ctypes.memmove(worker + NAME, text, len(text))
    words.store(worker + NAME_SIZE, len(text))


def read_name(worker: int) -> str:
    """The name in a worker's block; empty if it has none yet."""
    size = min(max(words.load(worker + NAME_SIZE), 0), NAME_BYTES)
    return ctypes.string_at(worker + NAME, size).decode(errors="replace")


def rank_of(pid: int, base: int, layout: Layout) -> int:
    """Rank that the process has taken, or -1."""
    for rank in range(layout.world):
        if words.load(base + layout.worker(rank) + PID) == pid:
            return rank
    return -1


def note_exit(base: int, layout: Layout, rank: int, status: int) -> None:
    """A process has ended in a state in which nobody needs it: those who still wait for it to join learn that."""
    words.store(base + layout.worker(rank) + EXIT, status)
    wake_group(base, layout)


def note_death(base: int, layout: Layout, rank: int, status: int) -> None:
    """A worker that others need has ended, or gives up: set its poison word and wake everybody."""
    poison(base, base + layout.worker(rank), rank, status)
    wake_group(base, layout)


def wake_group(base: int, layout: Layout) -> None:
    """Wake every sleeper of every worker, and those who wait in `join`."""
    for rank in range(layout.world):
        wake_all(base + layout.worker(rank), 1 << rank)
    wake(base + JOINED, ALL)
    wake(base + GENERATION, ALL)


def reset(base: int, layout: Layout) -> None:
    """Empty the control part: the last worker has left.  Note [Generations]."""
    for source in range(layout.world):
        for target in range(layout.world):
            empty_ring(base + layout.ring(source, target))
    ctypes.memset(base + layout.passes, 0, layout.contexts - layout.passes)
    for rank in range(layout.world):
        empty_block(base + layout.worker(rank))
    words.store(base + LEFT, 0)
    words.store(base + JOINED, 0)
    words.fetch_add(base + GENERATION, 1)
    wake(base + GENERATION, ALL)


def rehearse() -> None:
    """Go once through all kernels of this file, on private memory, so that none is compiled when somebody dies."""
    memory = ctypes.create_string_buffer(3 * PAGE)
    header = ctypes.addressof(memory) + PAGE & -PAGE
    block = header + PAGE
    find_poison(block, 1)
    poison(header, block, 0, 1)
    wake_all(block, 1)
    wake(header, ALL)
    empty_ring(block)
    empty_block(block)
    words.load(header)
    words.store(header, 0)
    words.fetch_add(header, 0)


@kernel("nn=n")
def find_poison(first_worker_block, world):
    """Lowest rank + 1 whose poison word is set, or 0."""
    for rank in range(world):
        if load(first_worker_block + rank * PAGE + POISON) != 0:
            return rank + 1
    return 0


@kernel("nnnn")
def poison(header, worker, rank, status):
    """Set the worker's poison word, once, and make it the root cause unless there is one."""
    cas(worker + POISON, 0, status)
    cas(header + FAILED, 0, rank + 1)


@kernel("nn")
def wake_all(worker, bit):
    """Wake all sleepers of a worker; `bit`, its own, makes a sleep that is about to begin fail."""
    # A bell that rings without a record is harmless: Note [Doorbell] B3.
    fetch_or32(worker + BELL, bit)
    wake(worker + BELL, ALL)
    fetch_add32(worker + STANDBY, 1)
    wake(worker + STANDBY, ALL)
    fetch_add32(worker + EPOCH, 1)
    wake(worker + EPOCH, ALL)
    fetch_add32(worker + MEET, 1)
    wake(worker + MEET, ALL)


@kernel("n")
def empty_ring(base):
    """Back to the state after `ring.init`."""
    poke(base, 0)
    poke(base + 64, 0)


@kernel("n")
def empty_block(worker):
    """Zero a worker's block, but for EXIT; PID last, since that frees the rank."""
    for offset in range(0, PAGE, 8):
        if offset != PID and offset != EXIT and offset != STATE:
            poke(worker + offset, 0)
    store(worker + STATE, 0)
    store(worker + PID, 0)
