"""Very large results are written past the caches: the same numbers, forward and backward."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.jit import forms
from nbgrad.ops import reduce

N = (1 << 15) + 5


def program(dtype):
    x = nb.Tensor(np.random.default_rng(0).standard_normal(N).astype(dtype)).requires_grad_()
    y = nb.full((N,), 0.1, dtype=np.dtype(dtype))
    z = (x * y - x) * 3.0 + (x + 0.7) * x
    (z - y).sum().backward()
    return z.array, x.grad.array, y.array


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_numbers(monkeypatch, dtype):
    ordinary = program(dtype)
    used = []

    def noted(form, out, *sources):
        used.append(form)
        stream(form, out, *sources)

    stream = forms.stream
    monkeypatch.setattr(forms, "STREAM_BYTES", 1)
    monkeypatch.setattr(reduce, "STREAM_BYTES", 1)
    monkeypatch.setattr(forms, "stream", noted)
    streamed = program(dtype)
    for one, other in zip(ordinary, streamed):
        assert np.array_equal(one, other)
    assert set(used) == {"add", "sub", "mul", "add_number", "mul_number", "fill"}
