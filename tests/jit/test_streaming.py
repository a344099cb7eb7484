"""Sums past the caches: the same numbers, nothing beyond the end, sources at any address."""

import ctypes

import numpy as np
import pytest

from nbgrad.jit.streaming import UNIT, sum_address


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, UNIT, 10 * UNIT])
def test_sums(dtype, n):
    native = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 8)(sum_address(np.dtype(dtype)))
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(n + 1).astype(dtype)[1:] for _ in range(2))  # not aligned
    room = np.full(n + 64, 7, dtype)
    first = -room.ctypes.data % 64 // room.itemsize
    out = room[first : first + n]
    assert native(out.ctypes.data, a.ctypes.data, b.ctypes.data, n, 0, 0, 0, 0) == 0
    assert np.array_equal(out, a + b)
    assert (room[:first] == 7).all()
    assert (room[first + n :] == 7).all()


def test_others_have_none():
    assert sum_address(np.dtype("int64")) == 0
