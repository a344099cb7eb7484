"""Records: what the protocol never writes is told and not followed; a block that has gone on is not read."""

import ctypes
import random

import numpy as np
import pytest

from nbgrad.shm import arena, record, ring, words
from nbgrad.shm.binding import CAPSULE_NAME, block_of
from nbgrad.shm.wire import CORRUPT, SENT
from tests.shm.place import bindings

KIND = 7
N_FLIPS = 4000


@pytest.fixture
def pair():
    """Two workers of this process; their faults are forgotten afterwards."""
    with bindings() as found:
        yield found
    words.store(ctypes.addressof(CAPSULE_NAME) + record.FAULT, 0)


@pytest.fixture(scope="module")
def same_pair():
    """Two workers for many tests: each takes as much address space as a group."""
    with bindings() as found:
        yield found


def in_arena(binding):
    array = binding.empty((600,), np.dtype("f8"))
    array.fill(3)
    return array


def post(binding, *arrays):
    return binding.post(1, 0, KIND, 1, 2, 3, 4, 5, 6, arrays, b"extra")


def first_record(b):
    """Address of the oldest message for worker 1."""
    return ring.front(b.segment.address + b.layout.ring(0, 1))


AT = 8 * (3 + record.N_HEADER)  # of the first array
INLINE_DATA, DESCRIPTOR = AT + 24 + 8, AT + 24 + 8
FIELDS = {  # what is written over: (array in the arena, offset in the record, value, what is told)
    "a length below the least": (False, -8, 8, record.BAD_LENGTH),
    "a length that is no multiple of 8": (False, -8, 177, record.BAD_LENGTH),
    "a length beyond the ring": (False, -8, 1 << 40, record.BAD_LENGTH),
    "a length that is too small": (False, -8, 128, record.BAD_DIMS),
    "more extra bytes than there are": (False, AT - 16, 50, record.BAD_COUNTS),
    "a negative size": (False, AT - 16, -8, record.BAD_COUNTS),
    "more arrays than there are": (False, AT - 8, 2, record.BAD_COUNTS),
    "fewer arrays than there are": (False, AT - 8, 0, record.BAD_COUNTS),
    "a form that there is not": (False, AT, 3, record.BAD_FORM),
    "a dtype that there is not": (False, AT + 8, 100, record.BAD_DTYPE),
    "a negative dtype": (False, AT + 8, -1, record.BAD_DTYPE),
    "too many dimensions": (False, AT + 16, 17, record.BAD_DIMS),
    "a negative dimension": (False, AT + 24, -1, record.BAD_DIMS),
    "more elements than there are": (False, AT + 24, 100, record.BAD_DIMS),
    "more elements than anybody has": (False, AT + 24, 1 << 62, record.BAD_DIMS),
    "elements beyond the block": (True, AT + 24, 1000, record.BAD_PLACE),
    "data before the block": (True, DESCRIPTOR, 0, record.BAD_PLACE),
    "a block beyond the segment": (True, DESCRIPTOR + 8, 1 << 50, record.BAD_PLACE),
    "a negative block": (True, DESCRIPTOR + 8, -64, record.BAD_PLACE),
    "a block that is none": (True, DESCRIPTOR + 8, 8, record.BAD_PLACE),
    "another generation": (True, DESCRIPTOR + 16, 1 << 20, record.STALE),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_bad_field_is_told_and_the_ring_goes_on(same_pair, name):
    a, b = same_pair
    is_in_arena, offset, value, what = FIELDS[name]
    x = in_arena(a) if is_in_arena else np.ones(3)
    assert post(a, x) == SENT
    words.store(first_record(b) + offset, value)
    source, kind, told, *_, arrays, extra = b.take(0)
    assert (source, kind, told, arrays, extra) == (0, record.BROKEN, what, (), None)
    assert b.take(0) is None
    assert post(a, np.ones(3)) == SENT
    assert b.take(0)[8][0].tolist() == [1, 1, 1]


def test_dimensions_whose_product_wraps_are_refused(pair):
    a, b = pair
    for dims in ([1 << 32, 1 << 32], [1 << 40, 1 << 24], [1 << 21] * 3, [1 << 40, 0, 1 << 41]):
        post(a, np.ones((1,) * len(dims)))
        for k, dim in enumerate(dims):
            words.store(first_record(b) + AT + 24 + 8 * k, dim)
        assert b.take(0)[1:3] == (record.BROKEN, record.BAD_DIMS)


def test_flipped_bits_never_lead_astray(pair):
    """Whatever bit of a message is flipped: it is told, or a message of arrays comes out."""
    a, b = pair
    rng = random.Random(0)
    x, block, told = in_arena(a), 0, 0
    block = block_of(x)
    for _ in range(N_FLIPS):
        post(a, x, np.ones((2, 3), np.float32), np.ones(()))
        at = first_record(b)
        where = at - 8 + 8 * rng.randrange(words.load(at - 8) // 8)
        words.store(where, (words.load(where) ^ (1 << rng.randrange(63))))
        *header, arrays, _ = b.take(0)
        assert all(type(a) is np.ndarray for a in arrays)
        if header[1] == record.BROKEN:
            told += 1
            del arrays
            while arena.holders(block) > 1:  # of the message that was dropped
                arena.release(block, 1)
        assert b.take(0) is None
    assert told > N_FLIPS / 4


def test_a_block_that_has_gone_on_is_not_taken(pair):
    """As if the sender had not counted its message: the block is allocated again before the message is taken."""
    a, b = pair
    x = in_arena(a)
    block = block_of(x)
    post(a, x)
    arena.release(block, 1)  # the message's holder is gone
    del x
    again = in_arena(a)
    assert block_of(again) == block
    assert b.take(0)[1:6] == (record.BROKEN, record.STALE, 0, 1, 2)
    assert again[0] == 3
    assert a.fault() is None


def test_a_holder_that_is_given_back_twice_is_noted(pair):
    a, _ = pair
    x = in_arena(a)
    block = block_of(x)
    assert arena.release(block, 1) == 0
    del x
    offset = block - a.segment.address
    assert a.fault() == (record.GIVEN_BACK, offset, 1, 1, 0)
    assert a.fault() is None  # told once
    one, two = in_arena(a), in_arena(a)
    assert block_of(one) == block != block_of(two)  # it came back once


def test_an_array_that_lost_its_block_is_not_sent(pair):
    a, b = pair
    x = in_arena(a)
    arena.release(block_of(x), 1)
    assert post(a, x) == CORRUPT
    assert b.take(0) is None
    assert post(a, np.ones(3)) == CORRUPT  # nothing is, until it is told
    assert a.fault()[0] == record.SENT_STALE
    assert post(a, np.ones(3)) == SENT
    again = in_arena(a)
    del x  # its generation is gone: the array that has the block now does not lose it
    assert a.fault()[0] == record.GIVEN_BACK
    assert arena.holders(block_of(again)) == 1
