import numpy as np
import pytest

from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import forms, kernel, maker
from nbgrad.jit.maker import Allocator, empty_address, set_allocator
from nbgrad.jit.wrapper import MADE_BYTES


@maker("aa>a")
def product(x, y, z):
    for i in range(x.size):
        z[i] = x[i] * y[i]


@maker("aAf>a>a")
def two(x, y, scale, z, w):
    for i in range(x.size):
        z[i] = x[i] * scale
        w[i] = y[0]


@maker("af>a", quiet=True)
def scaled(x, scale, z):
    for i in range(x.size):
        z[i] = x[i] * scale


@kernel("a>a")
def calls_a_maker(x, z):
    product(x, x, z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (1, 1, 4)])
def test_results_are_new_arrays_like_the_first(dtype, shape):
    x = np.full(shape, 3, dtype)
    z = product(x, x)
    assert (type(z), z.shape, z.dtype) == (np.ndarray, shape, x.dtype)
    assert z.flags.owndata
    assert z.flags.writeable
    np.testing.assert_array_equal(z, np.full(shape, 9))


def test_several_results_are_a_tuple():
    made = two(np.ones((2, 2)), np.array([7.0]), 5.0)
    assert type(made) is tuple
    z, w = made
    assert z.tolist() == [[5, 5], [5, 5]]
    assert w.tolist() == [[7, 7], [7, 7]]


def test_the_name_becomes_the_builtin():
    product(np.ones(1), np.ones(1))
    assert type(product).__name__ == "builtin_function_or_method"


def test_a_kernel_may_call_it():
    z = np.empty(2)
    calls_a_maker(np.array([2.0, 3.0]), z)
    assert z.tolist() == [4, 9]


def test_large_results_come_from_the_allocator():
    sizes = []

    def empty(shape, dtype):
        sizes.append(shape)
        return np.empty(shape, dtype)

    before = Allocator.empty
    set_allocator(empty)
    try:
        n = MADE_BYTES // 4
        z = product(np.ones(n, np.float32), np.full(n, 2, np.float32))
        assert z[-1] == 2
        product(np.ones(n - 1, np.float32), np.ones(n - 1, np.float32))
        two(np.ones((2, n), np.float32), np.ones(1, np.float32), 1.0)
    finally:
        set_allocator(before)
    assert sizes == [(n,), (2, n), (2, n)]


def test_mistakes():
    x = np.ones((2, 3))
    with pytest.raises(ShapeError, match="one shape"):
        product(x, np.ones((3, 2)))
    with pytest.raises(ShapeError):
        product(x, np.ones(6))
    with pytest.raises(DtypeError):
        product(x, x.astype(np.float32))
    with pytest.raises(DtypeError, match="int64"):
        product(np.ones(1, np.int64), np.ones(1, np.int64))
    with pytest.raises(DtypeError, match="contiguous"):
        product(x.T, x.T)
    with pytest.raises(DtypeError, match="ndarray"):
        product(x, 2.0)
    with pytest.raises(TypeError, match="2 arguments"):
        product(x)


def test_no_reference_is_lost_or_kept():
    import sys

    x = np.ones(3, np.float32)
    before = sys.getrefcount(x.dtype), sys.getrefcount(x), sys.getrefcount(None)
    for _ in range(10_000):
        product(x, x)
        two(x, x, 1.0)
    after = sys.getrefcount(x.dtype), sys.getrefcount(x), sys.getrefcount(None)
    assert max(abs(a - b) for a, b in zip(after, before)) < 100


def test_the_function_of_numpy_is_found():
    assert empty_address()


def test_quiet_makers_return_none():
    assert scaled(np.ones(2), 3).tolist() == [3, 3]
    assert scaled(np.ones(20_000), 3)[-1] == 3
    for x in (2.0, [1.0], np.ones(1, np.int64), np.ones((2, 3)).T):
        assert scaled(x, 3) is None
    with pytest.raises(TypeError):
        scaled(np.ones(1), "three")


@maker("aa>a", quiet=True, form="mul")
def streamed(x, y, z):
    for i in range(x.size):
        z[i] = -1.0


def test_very_large_results_are_streamed(monkeypatch):
    n = MADE_BYTES // 4
    x = np.arange(n, dtype=np.float32)
    assert (streamed(x, x) == -1).all()
    monkeypatch.setattr(forms, "STREAM_BYTES", 4 * n)
    assert np.array_equal(streamed(x, x), x * x)
    assert (streamed(x[:-1], x[:-1]) == -1).all()
    assert streamed(x[::2], x[::2]) is None
    assert streamed(x, x[:-1]) is None
