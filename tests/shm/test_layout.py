"""Layout: nothing overlaps, whatever the group's size."""

import pytest

from nbgrad.shm import ring
from nbgrad.shm.layout import (
    CONTEXT_BYTES,
    CONTEXTS,
    MAX_WORLD,
    PAGE,
    PASS_BYTES,
    PASSES,
    RREFS,
    Layout,
)


@pytest.mark.parametrize("world", [1, 2, 5, MAX_WORLD])
def test_parts_follow_each_other(world):
    layout = Layout(world)
    last = world - 1
    ends = [
        layout.worker(last) + PAGE,
        layout.ring(last, last) + ring.size_bytes(layout.ring_capacity),
        layout.pass_row(last, PASSES - 1) + PASS_BYTES,
        layout.context_row(last, CONTEXTS - 1) + CONTEXT_BYTES,
        layout.rref_row(last, RREFS - 1) + 8,
        layout.arena(last) + layout.arena_bytes,
    ]
    starts = [
        layout.rings,
        layout.passes,
        layout.contexts,
        layout.rrefs,
        layout.arenas,
        layout.size_bytes,
    ]
    assert all(end <= start for end, start in zip(ends, starts))
    assert layout.arenas % PAGE == 0


def test_rows_and_rings_are_aligned():
    layout = Layout(3)
    assert (
        layout.ring(1, 2) % 64 == layout.pass_row(2, 3) % 64 == layout.context_row(1, 1) % 64 == 0
    )
