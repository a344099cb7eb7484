"""Where everything lies in a group's segment.

    header            4 KiB    constants of the group, written once by its creator
    worker blocks     4 KiB    each: doorbell, standby word, poison word, state, name ...
    rings             world x world
    pass rows         world x PASSES rows      (dist_autograd.ledger)
    slots             world x SLOTS slots      (collectives.rounds): one per process group and member
    context rows      world x CONTEXTS rows    (dist_autograd.context)
    RRef counts       world x RREFS words      (rpc.rref)
    arenas            world x arena_bytes      (shm.arena), sparse

Words of a worker block, each on its own cache line: who writes, who reads.
  BELL      32 bits: bits 0-30 one per sender, bit 31 SLEEP.  Written by all by atomic instructions only.
            +8 bits taken whose rings are not yet drained.  The holder of the role.
  STANDBY   futex word of the standby thread, +4 how many sleep on it.  All, atomic instructions only.
  FRONT     threads of this worker that wait for messages (they look at BELL themselves).  This worker.
  BUSY      threads among FRONT that run a request now.  This worker.
  EPOCH     futex word of this worker's threads that wait without the role, +4 sleepers, +8 messages
            that wait in this process for a serving thread.  This worker.
  MEET      futex word of this worker's threads that wait in a collective, +4 sleepers.  All, atomic instructions only.
  POISON    0, or 1 + what `describe_exit` tells of this worker's end.  The supervisor (and a worker that gives up).
  STATE     a State.  This worker; the last that leaves resets it.  +8 its pid, or 0: nobody has taken this rank.
            +16 EXIT: 0, or 1 + what `describe_exit` tells, of a process that ended in whatever state.  The supervisor.
            +24 USERS: bits of what has joined in this worker (RPC, process groups).  This worker.
  SENT      messages posted, and from SENT_TO on per receiver: messages, bytes of arrays copied, bytes sent without a
            copy.  This worker.
  BEGUN     one word per worker: how many of its calls have begun to run here.  This worker; each of them reads its own.
"""

import resource
from dataclasses import dataclass
from functools import cached_property

from nbgrad.shm import ring

PAGE = 4096
MAX_WORLD = 31  # bits of one doorbell word

# header words
MAGIC, VERSION, WORLD, RING_CAPACITY, ARENA_BYTES, JOINED, LEFT, GENERATION, FAILED, WATCHED = (
    range(0, 80, 8)
)
MAGIC_VALUE = 0x6E62677261640001

# words of a worker block
BELL, STANDBY, FRONT, BUSY, EPOCH, POISON, STATE = range(0, 7 * 64, 64)
TAKEN = BELL + 8
QUEUED = EPOCH + 8
PID = STATE + 8
EXIT = STATE + 16
USERS = STATE + 24
PROGRESS = 448
MEET = 512
NAME_SIZE, NAME = 640, 648
NAME_BYTES = 128
SENT_MESSAGES = 800
BEGUN = 1024  # 8 bytes per caller
SENT_TO, SENT_BYTES = 1280, 32  # per receiver; in it:
TO_MESSAGES, TO_COPIED, TO_ZERO_COPY = 0, 8, 16

SLEEP = 1 << 31
SENDERS = SLEEP - 1

NOT_HERE, READY, LEAVING, DRAINED, GONE = range(5)  # values of STATE

LEAST_ARENA_BYTES, MOST_ARENA_BYTES = 1 << 26, 1 << 36
PASSES, PASS_BYTES = 1024, 128
SLOTS, SLOT_BYTES = 62, 4096  # one bit each in an int64
CONTEXTS, CONTEXT_BYTES = 65536, 320
RREFS, RREF_BYTES = 65536, 8


@dataclass(frozen=True)
class Layout:
    """Offsets of one group: everything follows from the number of workers and two sizes.

    `arena_bytes` is 64 GiB by default, of which only pages in use take memory; where address space is limited
    (`ulimit -v`), the arenas together take at most a quarter of it.
    """

    world: int
    ring_capacity: int = 1 << 17
    arena_bytes: int = 0

    def __post_init__(self) -> None:
        if self.arena_bytes == 0:
            object.__setattr__(self, "arena_bytes", fitting_arena_bytes(self.world))

    def worker(self, rank: int) -> int:
        """Offset of a worker's block."""
        return PAGE * (1 + rank)

    def ring(self, source: int, target: int) -> int:
        """Offset of the ring from `source` to `target`."""
        return self.rings + (source * self.world + target) * ring.size_bytes(self.ring_capacity)

    @cached_property
    def rings(self) -> int:
        return PAGE * (1 + self.world)

    @cached_property
    def passes(self) -> int:
        return page(self.rings + self.world**2 * ring.size_bytes(self.ring_capacity))

    def pass_row(self, rank: int, row: int) -> int:
        return self.passes + (rank * PASSES + row) * PASS_BYTES

    @cached_property
    def slots(self) -> int:
        return page(self.passes + self.world * PASSES * PASS_BYTES)

    def slot(self, rank: int, number: int) -> int:
        return self.slots + (rank * SLOTS + number) * SLOT_BYTES

    @cached_property
    def contexts(self) -> int:
        return page(self.slots + self.world * SLOTS * SLOT_BYTES)

    def context_row(self, rank: int, row: int) -> int:
        return self.contexts + (rank * CONTEXTS + row) * CONTEXT_BYTES

    @cached_property
    def rrefs(self) -> int:
        return page(self.contexts + self.world * CONTEXTS * CONTEXT_BYTES)

    def rref_row(self, rank: int, row: int) -> int:
        return self.rrefs + (rank * RREFS + row) * RREF_BYTES

    @cached_property
    def arenas(self) -> int:
        return page(self.rrefs + self.world * RREFS * RREF_BYTES)

    def arena(self, rank: int) -> int:
        return self.arenas + rank * self.arena_bytes

    @cached_property
    def size_bytes(self) -> int:
        return self.arena(self.world)


def fitting_arena_bytes(world: int) -> int:
    """Bytes of each worker's arena: a power of two that leaves room for everything else."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return MOST_ARENA_BYTES
    share = max(limit // 4 // max(world, 1), LEAST_ARENA_BYTES)
    return min(1 << share.bit_length() - 1, MOST_ARENA_BYTES)


def page(offset: int) -> int:
    """The next multiple of a page."""
    return (offset + PAGE - 1) & -PAGE
