"""Memory that all members of a process group share by intent: what one writes all others read.

It lies in the arena of the first member and has a holder per member, so it lives as long as anybody has an array of it.  To
`nbgrad.autograd.buffers` it looks like ordinary memory: it is written in place, and copied where a message is to keep it.
"""

from typing import Any

import numpy as np

from nbgrad.collectives.block import address_of
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.world import agree
from nbgrad.errors import SharedMemoryFull
from nbgrad.shm import arena
from nbgrad.shm.binding import CODES, block_of

BYTE = np.dtype("uint8")


class Span:
    """A range of memory that keeps the block alive which it lies in, without looking like a part of it."""

    def __init__(self, block: np.ndarray):
        self.block = block
        self.__array_interface__ = block.__array_interface__


def common(pg: ProcessGroup, n_bytes: int) -> np.ndarray:
    """New memory of at least `n_bytes` (a multiple of 64), as bytes; the same on all members, who all call this.

    Raises
    ------
    SharedMemoryFull
        If the first member has no room.
    """
    binding, base = pg.premises.binding, pg.session.base
    n_bytes = max((n_bytes + 63) & -64, 64)
    made = binding.empty((n_bytes,), BYTE) if pg.me == 0 else None
    if made is not None:  # held before anybody learns of it: Note [Holders] of arena.py
        block = block_of(made)
        for _ in range(pg.size() - 1):
            arena.hold(block, arena.generation(block))
    told = 0 if made is None else address_of(made) - base
    offset = int(agree(pg, Kind.agreement, [told])[0, 0])
    if offset == 0:
        raise no_room(n_bytes)
    if made is None:
        made = binding.view(base + offset - arena.HEADER, CODES[BYTE], (n_bytes,))
    return np.asarray(Span(made))


def own(pg: ProcessGroup, n_bytes: int) -> tuple[np.ndarray, list[int]]:
    """Zeroed memory in this member's arena, and where that of each member lies; all members call this.

    Raises
    ------
    SharedMemoryFull
        If a member has no room.
    """
    base = pg.session.base
    made: Any = pg.premises.binding.empty((max(n_bytes, 64),), BYTE)
    if made is not None:
        made.fill(0)
    rows = agree(pg, Kind.agreement, [0 if made is None else address_of(made) - base])
    if not rows.all():
        raise no_room(n_bytes)
    return made, [base + int(offset) for offset in rows[:, 0]]


def no_room(n_bytes: int) -> SharedMemoryFull:
    return SharedMemoryFull(
        f"{n_bytes >> 10} KiB of shared memory are needed for what workers share, and the arena of one of them has no room "
        f"for it; see nbgrad.memory_summary()"
    )
