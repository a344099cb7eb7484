"""Premises: boxes are kept per slot, and RPC's binding stays the first choice."""

from types import SimpleNamespace

import numpy as np

from nbgrad.collectives.premises import BOX_BYTES, Premises
from nbgrad.shm.binding import current
from nbgrad.shm.layout import MEET, SLOT_BYTES
from tests.shm.place import bindings


def session(binding):
    segment, layout = binding.segment, binding.layout
    return SimpleNamespace(
        segment=segment, layout=layout, base=segment.address, rank=0, attached={}
    )


def test_one_per_session_with_boxes_per_slot():
    with bindings(2) as (binding, _):
        here = session(binding)
        premises = Premises.of(here)
        assert Premises.of(here) is premises
        address, size = premises.box(3)
        assert (premises.box(3), size) == ((address, size), BOX_BYTES)
        assert premises.box(4)[0] != address
        assert premises.boxes[3].nbytes == 2 * size
        one, two = premises.slots(1, (0, 1))
        assert two - one == SLOT_BYTES * 62
        assert premises.meets((1,)) == [here.base + binding.layout.worker(1) + MEET]


def test_a_full_arena_gives_no_box():
    with bindings(1, arena_bytes=1 << 17) as (binding,):
        assert Premises.of(session(binding)).box(0) == (0, 0)


def test_the_binding_is_the_last_choice():
    with bindings(1) as (binding,):
        premises = Premises.of(session(binding))
        before = list(current)
        try:
            current.append(binding)
            premises.enter()
            premises.enter()
            assert current == [premises.binding, *before, binding]
            current.remove(binding)
            assert current[-1].empty((3,), np.dtype("f4")) is not None
        finally:
            premises.leave()
            premises.leave()
        assert current == before
