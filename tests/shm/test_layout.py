"""Layout: nothing overlaps, whatever the group's size."""

import resource

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
    SLOT_BYTES,
    SLOTS,
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
        layout.slot(last, SLOTS - 1) + SLOT_BYTES,
        layout.context_row(last, CONTEXTS - 1) + CONTEXT_BYTES,
        layout.rref_row(last, RREFS - 1) + 8,
        layout.arena(last) + layout.arena_bytes,
    ]
    starts = [
        layout.rings,
        layout.passes,
        layout.slots,
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


@pytest.mark.parametrize(
    ("limit", "world", "arena_bytes"),
    [
        (resource.RLIM_INFINITY, 2, 1 << 36),
        (12_000_000_000, 2, 1 << 30),
        (12_000_000_000, 4, 1 << 29),
        (1 << 40, 2, 1 << 36),
        (1 << 30, 31, 1 << 26),
    ],
)
def test_arenas_fit_into_a_limited_address_space(monkeypatch, limit, world, arena_bytes):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    assert Layout(world).arena_bytes == arena_bytes
    assert Layout(world, arena_bytes=4096).arena_bytes == 4096
