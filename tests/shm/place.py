"""A segment with rings and arenas in this process, as `group` makes one for workers."""

import os
from contextlib import contextmanager

from nbgrad.shm import arena, ring
from nbgrad.shm.binding import Binding
from nbgrad.shm.layout import PAGE, Layout
from nbgrad.shm.segment import Segment


def unique(name):
    """A name that no other test run of this machine uses; the same in all processes of this one."""
    return f"{name}-{os.environ['NBGRAD_TEST_RUN']}"


@contextmanager
def bindings(world=2, ring_capacity=1 << 14, arena_bytes=1 << 26):
    """One Binding per worker, all in this process."""
    layout = Layout(world, ring_capacity, arena_bytes)
    segment = Segment.inherited(layout.size_bytes)
    segment.commit(0, layout.contexts)
    for source in range(world):
        for target in range(world):
            ring.init(segment.address + layout.ring(source, target), ring_capacity)
        segment.commit(layout.arena(source), PAGE)
        arena.init(segment.address + layout.arena(source), arena_bytes)
    try:
        yield [Binding(segment, layout, rank) for rank in range(world)]
    finally:
        segment.close()
