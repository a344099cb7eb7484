"""Functions of whole lines: the formula's numbers to the last bit, nothing beyond the end, arrays at any address."""

import ctypes

import numpy as np
import pytest

from nbgrad.jit.lines import AHEAD, lines


@lines(arrays=3, constants=2)
def mixed(line):
    x, y, z = line.arrays
    a, b = line.constants
    s = (x - a * y) / (z.sqrt() + b)
    return {0: s, 2: s * s}


def call(address, *arguments):
    native = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 8)(address)
    given = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    return native(*given, *[0] * (8 - len(given)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_lines", [0, 1, 3, AHEAD // 64 + 5])
def test_formula(dtype, n_lines):
    n = n_lines * mixed.unit(dtype)
    rng = np.random.default_rng(0)
    rooms = [rng.standard_normal(n + 64).astype(dtype) for _ in range(3)]
    x, y, z = (room[k + 1 : k + 1 + n] for k, room in enumerate(rooms))
    z[:] = np.abs(z)
    constants = np.array([0.3, 0.7, np.nan], dtype)
    a, b = constants[:2]
    before, y_before = [room.copy() for room in rooms], y.copy()
    s = (x - a * y) / (np.sqrt(z) + b)
    assert call(mixed.address(dtype), x, y, z, constants, n) == 0
    assert np.array_equal(x, s)
    assert np.array_equal(z, s * s)
    assert np.array_equal(y, y_before)
    for k, (room, old) in enumerate(zip(rooms, before)):
        assert np.array_equal(room[: k + 1], old[: k + 1])
        assert np.array_equal(room[k + 1 + n :], old[k + 1 + n :])


def test_a_unit_is_a_line_of_each_range():
    assert (mixed.unit("float32"), mixed.unit("float64")) == (32, 16)


def test_others_have_none():
    assert mixed.address("int64") == 0


def test_lines_ahead_are_asked_for_as_they_are_used():
    text = mixed.text("float32")
    assert text.count("call void @llvm.prefetch") == 3 * mixed.ranges
    assert text.count(", i32 1, i32 3, i32 1)") == 2 * mixed.ranges, "to be written: arrays 0 and 2"
