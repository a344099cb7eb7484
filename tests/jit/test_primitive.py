"""Primitives do what they say inside kernels, and explain themselves outside."""

import numpy as np
import pytest

from nbgrad.jit import kernel
from nbgrad.jit.primitive import (
    copy_bytes,
    external,
    fabs,
    fmax,
    peek,
    peek8,
    peek32,
    poke,
    poke8,
    poke32,
    pow2i,
    rint,
    scratch,
    times_pow2,
)

labs = external("labs", 1)


@kernel("n=n")
def widths(address):
    poke(address, -1)
    poke32(address, 7)
    poke8(address + 4, 9)
    return peek(address) ^ (peek32(address) << 1) ^ (peek8(address + 4) << 40)


@kernel("nn")
def copy(target, source):
    copy_bytes(target, source, 24)


@kernel("n=n")
def on_the_stack(value):
    place = scratch()
    poke(place, value)
    return labs(peek(place))


@kernel("A>A")
def floats(x, y):
    y[0] = rint(x[0])
    y[1] = fabs(x[1])
    y[2] = fmax(x[0], x[1])
    y[3] = pow2i(rint(x[2]))
    y[4] = times_pow2(x[1], rint(x[2]))


def test_widths():
    word = np.zeros(1, np.int64)
    mixed = widths(word.ctypes.data)
    low = int(word[0]) & 0xFFFFFFFF
    assert low == 7
    assert (int(word[0]) >> 32) & 0xFF == 9
    assert mixed == int(word[0]) ^ (7 << 1) ^ (9 << 40)


def test_bytes_are_copied():
    a, b = np.arange(4), np.zeros(4, np.int64)
    copy(b.ctypes.data, a.ctypes.data)
    assert b.tolist() == [0, 1, 2, 0]


def test_stack_and_c_functions():
    assert on_the_stack(-5) == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_instructions(dtype):
    y = np.empty(5, dtype)
    floats(np.array([2.5, -3.25, 5.0], dtype), y)
    assert y.tolist() == [2.0, 3.25, 2.5, 32.0, -104.0]


def test_in_python_they_say_what_they_are_for():
    with pytest.raises(TypeError, match="primitive for kernels"):
        peek(0)
