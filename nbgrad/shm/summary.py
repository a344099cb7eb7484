"""Summary: what the arena of this worker holds, as data and as a table."""

from dataclasses import dataclass

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek
from nbgrad.shm import arena
from nbgrad.shm.arena import BUMP, CLASS, FIRST, HEADER, N_CLASSES, class_bytes, holders
from nbgrad.shm.binding import current


@dataclass(frozen=True)
class SizeClass:
    """Blocks of one size.

    Attributes
    ----------
    block_bytes : int
        Payload of a block: arrays of this size, or a little less, lie in it.
    in_use, free : int
        Blocks that somebody holds, and blocks that wait to be used again.
    """

    block_bytes: int
    in_use: int
    free: int


@dataclass(frozen=True)
class MemorySummary:
    """The arena of one worker; all zero in a process that is in no group.

    Attributes
    ----------
    capacity_bytes : int
        Address space of the arena: it can't grow beyond that.
    committed_bytes : int
        Memory that it has taken from the machine and keeps until the group ends.
    used_bytes : int
        Payload of blocks that somebody holds: arrays here, messages under way, arrays of other workers.
    free_bytes : int
        Payload of blocks that will be used again for arrays of their sizes.
    size_classes : tuple of SizeClass
        Those that have blocks, smallest first.
    fallbacks, fallback_bytes : int
        Arrays that found the arena full, and lie in private memory: sending them copies.
    others : tuple of (rank, committed_bytes)
        The arenas of the other workers.
    """

    capacity_bytes: int
    committed_bytes: int
    used_bytes: int
    free_bytes: int
    size_classes: tuple[SizeClass, ...]
    fallbacks: int
    fallback_bytes: int
    others: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        """A line of totals, and a table with one row per size class."""
        if self.capacity_bytes == 0:
            return "no arena: this process is in no group, so its arrays are in private memory"
        lines = [
            f"arena: {mib(self.used_bytes)} used, {mib(self.free_bytes)} free to be used again, "
            f"{mib(self.committed_bytes)} taken from the machine, {mib(self.capacity_bytes)} at most",
            f"arrays that found it full: {self.fallbacks} ({mib(self.fallback_bytes)})",
        ]
        if self.others:
            taken = ", ".join(f"rank {rank} {mib(n_bytes)}" for rank, n_bytes in self.others)
            lines.append(f"taken by the arenas of others: {taken}")
        if self.size_classes:
            lines.append(f"{'block bytes':>14}{'in use':>10}{'free':>10}{'MiB in use':>14}")
        for size in self.size_classes:
            in_use = size.block_bytes * size.in_use / 2**20
            lines.append(f"{size.block_bytes:14}{size.in_use:10}{size.free:10}{in_use:14.2f}")
        return "\n".join(lines)


def mib(n_bytes: int) -> str:
    """Bytes as MiB, for a person."""
    return f"{n_bytes / 2**20:.1f} MiB"


def memory_summary() -> MemorySummary:
    """What the arena of this worker holds: arrays of 64 KiB and more are born there, so that sending them copies nothing.

    Returns
    -------
    MemorySummary
        `str()` of it is a table.

    Examples
    --------
    >>> import nbgrad as nb
    >>> print(nb.memory_summary())
    no arena: this process is in no group, so its arrays are in private memory
    """
    if not current:
        return MemorySummary(0, 0, 0, 0, (), 0, 0, ())
    binding = current[-1]
    in_use, free = np.zeros(N_CLASSES, np.int64), np.zeros(N_CLASSES, np.int64)
    count_blocks(binding.arena, in_use, free)
    sizes = tuple([
        SizeClass(class_bytes(k), int(in_use[k]), int(free[k]))
        for k in range(N_CLASSES)
        if in_use[k] or free[k]
    ])  # fmt: skip
    layout = binding.layout
    base = binding.segment.address
    return MemorySummary(
        capacity_bytes=layout.arena_bytes,
        committed_bytes=arena.committed(binding.arena),
        used_bytes=sum(size.block_bytes * size.in_use for size in sizes),
        free_bytes=sum(size.block_bytes * size.free for size in sizes),
        size_classes=sizes,
        fallbacks=binding.n_fallbacks,
        fallback_bytes=binding.fallback_bytes,
        others=tuple([
            (rank, arena.committed(base + layout.arena(rank)))
            for rank in range(layout.world)
            if rank != binding.rank
        ]),
    )  # fmt: skip


@kernel("n>kk")
def count_blocks(own, in_use, free):
    """Add the blocks of the caller's own arena up, per size class.  The owner allocates under the GIL, which this holds."""
    offset = FIRST
    end = peek(own + BUMP)
    while offset < end:
        block = own + offset
        size_class = peek(block + CLASS)
        if holders(block) > 0:
            in_use[size_class] += 1
        else:
            free[size_class] += 1
        offset += HEADER + class_bytes(size_class)
