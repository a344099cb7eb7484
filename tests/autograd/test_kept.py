"""Kept blocks, called as NumPy calls them, over a state of their own."""

import ctypes
import random

import numpy as np
import pytest

from nbgrad.autograd import kept, reuse
from nbgrad.autograd.reuse import Reuse

LARGE = 5 * kept.SMALLEST


class Blocks:
    """The callbacks over one state."""

    def __init__(self):
        self.state = np.zeros(kept.STATE_WORDS, np.int64)
        n = kept.CLOCK // 8
        self.state[:n] = Reuse.state[:n]  # NumPy's own functions, for what is small

    def call(self, function, *numbers):
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * (1 + len(numbers)))
        return kind(function.address())(self.state.ctypes.data, *numbers)

    def malloc(self, size):
        return self.call(kept.block_malloc, size)

    def free(self, payload, size=0):
        self.call(kept.block_free, payload, size)

    def word(self, name):
        return int(self.state[getattr(kept, name) // 8])


@pytest.fixture
def blocks():
    assert reuse.install()
    made = Blocks()
    yield made
    made.call(kept.give_back_all)
    assert (made.word("USED"), made.word("KEPT"), made.word("OLDEST")) == (0, 0, 0)
    assert made.word("TAKEN") == made.word("RETURNED")


def content(payload, size):
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(payload))


def test_a_freed_block_goes_to_the_next_array_of_its_size(blocks):
    first, second = blocks.malloc(LARGE), blocks.malloc(LARGE)
    assert abs(first - second) >= LARGE
    blocks.free(first)
    other = blocks.malloc(2 * LARGE)
    assert blocks.malloc(LARGE) == first
    assert (blocks.word("TAKEN"), blocks.word("REUSED")) == (3, 1)
    for payload in (first, second, other):
        blocks.free(payload)


def test_memory_of_zeros_is_zeros_again(blocks):
    payload = blocks.call(kept.block_calloc, LARGE // 8, 8)
    assert not content(payload, LARGE).any()
    content(payload, LARGE)[:] = 7
    blocks.free(payload)
    assert blocks.call(kept.block_calloc, 8, LARGE // 8) == payload
    assert not content(payload, LARGE).any()
    blocks.free(payload)


def test_more_than_there_is_is_refused(blocks):
    assert blocks.malloc(1 << 60) == 0
    assert blocks.call(kept.block_calloc, 1 << 40, 1 << 40) == 0


def test_what_is_small_is_not_ours(blocks):
    payload = blocks.malloc(100)
    blocks.free(payload, 100)
    assert blocks.word("CLOCK") == 0


@pytest.mark.parametrize(
    "sizes", [(LARGE, 3 * LARGE, 2 * LARGE), (100, LARGE), (LARGE, 100), (LARGE, 1 << 60)]
)
def test_an_array_of_another_size_keeps_its_values(blocks, sizes):
    values = np.arange(100, dtype=np.uint8)
    payload, last = blocks.malloc(sizes[0]), sizes[0]
    content(payload, 100)[:] = values
    for size in sizes[1:]:
        moved = blocks.call(kept.block_realloc, payload, size)
        if size < 1 << 60:
            payload, last = moved, size
        else:
            assert moved == 0  # and the old one is still there
        assert np.array_equal(content(payload, 100), values)
    blocks.free(payload, last)


def test_what_is_kept_is_bounded_by_what_was_used(blocks):
    for k in range(1, 40):  # each size once: 100 MB if all were kept
        blocks.free(blocks.malloc(k * LARGE))
    kept_bytes, peak = blocks.word("KEPT"), blocks.word("PEAK")
    assert 0 < kept_bytes <= peak + max(peak // 2, kept.ROOM)
    assert blocks.word("RETURNED") > 0


def test_what_nobody_needs_for_long_is_given_back(blocks):
    blocks.free(blocks.malloc(3 * LARGE))
    for _ in range(kept.IDLE + 1):
        blocks.free(blocks.malloc(LARGE))
    assert blocks.word("RETURNED") == 1
    assert blocks.word("TAKEN") == 2


@pytest.mark.parametrize("seed", range(3))
def test_blocks_in_use_never_overlap(blocks, seed):
    draw = random.Random(seed)
    live = {}
    for k in range(400):
        if live and draw.random() < 0.5:
            payload = draw.choice(list(live))
            size, mark = live.pop(payload)
            ends = content(payload, size)
            assert ends[0] == ends[-1] == mark
            blocks.free(payload)
        else:
            size = draw.choice([1, 2, 3, 17]) * kept.SMALLEST + draw.randrange(100_000)
            payload = blocks.malloc(size)
            assert payload not in live
            ends = content(payload, size)
            ends[0] = ends[-1] = k % 256
            live[payload] = size, k % 256
    for payload in live:
        blocks.free(payload)
