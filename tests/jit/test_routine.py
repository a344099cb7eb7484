"""@routine: native functions over arrays, called by address."""

import ctypes

import numpy as np
import pytest

from nbgrad.jit.routine import routine


@routine(arrays=3, numbers=2)
def add(out, a, b, plus, count):
    for i in range(out.size):
        out[i] = a[i] + b[i] + plus


@routine(arrays=1, numbers=1)
def divide(x, count):
    c = x.dtype.type(count)
    for i in range(x.size):
        x[i] = x[i] / c


def call(function, dtype, *args):
    native = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 8)(function.address(dtype))
    assert native(*args, *[0] * (8 - len(args))) == 0


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "uint8", "int16", "int32", "int64"]
)
def test_arrays_of_every_dtype(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 50, 1003).astype(dtype) for _ in range(2))
    out = np.full(1004, 77, dtype)
    call(add, dtype, out.ctypes.data, a.ctypes.data, b.ctypes.data, 1003, 5, 0)
    assert np.array_equal(out[:1003], a + b + np.dtype(dtype).type(5))
    assert out[1003] == 77


def test_the_result_may_lie_where_an_argument_lies():
    a, b = np.arange(1003.0), np.ones(1003)
    call(add, "float64", a.ctypes.data, a.ctypes.data, b.ctypes.data, 1003, 0, 0)
    assert np.array_equal(a, np.arange(1003.0) + 1)


def test_quotients_are_exact():
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    expected = x / np.float32(3)
    call(divide, "float32", x.ctypes.data, 1000, 3)
    assert np.array_equal(x, expected)


def test_one_address_per_dtype():
    assert add.address("float32") == add.address("float32") != add.address("float64")
