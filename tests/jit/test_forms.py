"""Results past the caches: the same numbers, nothing beyond the ends, arrays at any address."""

import numpy as np
import pytest

from nbgrad.jit import forms
from nbgrad.jit.forms import FORMS, stream


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "shift"), [(0, 0), (3, 1), (32, 1), (10 * 32 + 5, 0), (500, 3)])
def test_forms(dtype, form, n, shift):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(n + 1).astype(dtype)[1:] for _ in range(2))
    c = 1 / 3
    wanted = {
        "add": a + b,
        "sub": a - b,
        "mul": a * b,
        "add_number": a + c,
        "mul_number": a * c,
        "copy": a,
        "fill": np.full(n, c, dtype),
    }[form]
    room = np.full(n + shift + 9, 7, dtype)
    out = room[shift : shift + n]
    numbers = (c,) if form in ("add_number", "mul_number", "fill") else ()
    stream(form, out, *(a, b)[: FORMS[form].arrays - 1], *numbers)
    assert np.array_equal(out, wanted)
    assert (room[:shift] == 7).all()
    assert (room[shift + n :] == 7).all()


@pytest.fixture
def from_zero_bytes(monkeypatch):
    """Every result is large enough."""
    monkeypatch.setattr(forms, "STREAM_BYTES", 0)


def test_numbers_as_the_ordinary_loops_take_them(from_zero_bytes):
    out = np.empty(40, np.float32)
    stream("mul_number", out, np.full(40, 2, np.float32), 1e300)
    assert (out == np.inf).all()
    stream("add_number", out, np.zeros(40, np.float32), 2**24 + 1)
    assert (out == 2**24).all()
    forms.fill(out, np.float32(0.1))
    assert (out == np.float32(0.1)).all()
    integers = np.empty(40, np.int64)
    forms.fill(integers, 3)
    assert (integers == 3).all()


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "int16", "complex64"])
@pytest.mark.parametrize("shape", [(16, 16), (3, 3), (0,), ()])
def test_copies(from_zero_bytes, dtype, shape):
    a = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    for source in (a, a.T, np.broadcast_to(a, (2, *shape))[1]):
        out = np.zeros(shape, dtype)
        forms.copy(out, source)
        assert np.array_equal(out, source)


def test_signalling_nans_are_copied_as_they_are(from_zero_bytes):
    a = np.full(64, 0x7FF0_0000_0000_0001, np.int64)
    out = np.empty_like(a)
    forms.copy(out, a)
    assert (out == a).all()
