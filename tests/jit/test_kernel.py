"""@kernel: signatures, both flavours, clear errors, laziness."""

import subprocess
import sys

import numpy as np
import pytest

from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import inline, kernel
from nbgrad.jit.compile import original


@inline
def twice(x):
    return x + x


@kernel("aa>a")
def add(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y[i]


@kernel("a>a")
def double(x, y):
    for i in range(x.size):
        y[i] = twice(x[i])


@kernel("Akunfd=d")
def everything(x, k, u, n, f, d):
    total = 0.0
    for i in range(x.size):
        total += x[i] * f
    for i in range(k.size):
        total += k[i]
    for i in range(u.size):
        total += u[i]
    return total + n + d


@kernel("nn=n")
def product(a, b):
    return a * b


@kernel("n=n")
def square(a):
    return product(a, a)


@kernel("a>a", fast=False)
def strict(x, y):
    for i in range(x.size):
        y[i] = x[i]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 4), (2, 1, 5)])
def test_both_flavours_and_any_shape(dtype, shape):
    x = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    z = np.empty_like(x)
    assert add(x, x, z) is None
    np.testing.assert_array_equal(z, 2 * x)


def test_every_letter():
    x = np.array([1.5, 2.5])
    value = everything(x, np.array([4, 5]), np.array([True, False]), 7, 2.0, 0.25)
    assert value == 8 + 9 + 1 + 7 + 0.25


def test_integers_in_and_out():
    assert product(-3, 1 << 40) == -3 << 40
    assert square(12) == 144


def test_inline_functions_are_compiled_in():
    y = np.empty(3)
    double(np.ones(3), y)
    assert y.tolist() == [2, 2, 2]


def test_the_name_becomes_the_builtin():
    product(1, 1)
    assert type(product).__name__ == "builtin_function_or_method"
    assert original(product).__wrapped__(3, 4) == 12


WRONG = [
    ((np.ones(3), np.ones(3)), TypeError, "3 arguments, got 2"),
    ((np.ones(3), np.ones(4), np.ones(3)), ShapeError, r"sizes \[3, 4, 3\]"),
    ((np.ones(3), np.ones(3, "f4"), np.ones(3)), DtypeError, "argument 2 has dtype float32"),
    ((np.ones(3, int), np.ones(3, int), np.ones(3, int)), DtypeError, "dtype int64"),
    (([1.0], np.ones(1), np.ones(1)), DtypeError, "plain ndarray, got list"),
    ((np.ones(6)[::2], np.ones(3), np.ones(3)), DtypeError, "not C-contiguous"),
]


@pytest.mark.parametrize(("args", "error", "text"), WRONG)
def test_what_does_not_fit_is_named(args, error, text):
    with pytest.raises(error, match=text):
        add(*args)


def test_a_read_only_result_is_refused():
    z = np.ones(3)
    z.flags.writeable = False
    with pytest.raises(DtypeError, match="argument 3 .* is read-only"):
        add(np.ones(3), np.ones(3), z)


def test_a_float_for_an_int_is_refused():
    with pytest.raises(TypeError):
        product(1.5, 2)


def test_references_do_not_drift():
    x, z = np.ones(3), np.ones(3)
    add(x, x, z)
    before = sys.getrefcount(x), sys.getrefcount(z)
    for _ in range(1000):
        add(x, x, z)
    assert (sys.getrefcount(x), sys.getrefcount(z)) == before


def test_big_arrays_release_the_gil_and_give_the_same():
    x = np.random.default_rng(0).normal(size=50_000)
    z = np.empty_like(x)
    add(x, x, z)
    np.testing.assert_array_equal(z, x + x)


def test_nan_and_infinity_keep_their_meaning():
    x = np.array([np.nan, np.inf, -np.inf])
    y = np.empty(3)
    double(x, y)
    np.testing.assert_array_equal(y, x)
    strict(x, y)
    np.testing.assert_array_equal(y, x)


PROGRAM = """
import sys
import nbgrad as nb
x = nb.ones(3, requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2, 2, 2]
print("numba" in sys.modules)
"""


def test_a_warm_store_needs_no_numba():
    run = [sys.executable, "-c", PROGRAM]
    subprocess.run(run, check=True, capture_output=True)  # fills the store
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip() == "False"


def test_importing_compiles_nothing():
    program = "import sys, nbgrad; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"
