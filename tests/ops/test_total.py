"""Sums of large arrays: every element once, as exact as NumPy's, NaN and infinities as they are."""

import math

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.ops.total import BLOCK, LEAST, can_total, total

SIZES = [LEAST, LEAST + 1, 5 * BLOCK - 1, 5 * BLOCK, 5 * BLOCK + 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", SIZES)
def test_every_element_once(dtype, n):
    x = np.ones(n, dtype)  # sums of them are exact
    assert total(x) == n
    for place in (0, 1, BLOCK - 1, BLOCK, n // BLOCK * BLOCK - 1, n - 1):
        x[place] = 3
        assert total(x) == n + 2
        x[place] = 1
    assert total(x).dtype == x.dtype


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2**-24), ("float64", 2**-53)])
@pytest.mark.parametrize("seed", range(5))
def test_error(dtype, eps, seed):
    x = np.random.default_rng(seed).random(1 << 18).astype(dtype)
    exact = math.fsum(x.tolist())
    assert abs(float(total(x)) - exact) <= 20 * eps * exact  # a plain loop in float32: thousands


@pytest.mark.parametrize("place", [0, BLOCK + 7, 5 * BLOCK + 3])
def test_nan_and_infinity(place):
    x = np.zeros(5 * BLOCK + 5, np.float32)
    x[place] = np.inf
    assert total(x) == np.inf
    x[1] = -np.inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(total(x))
    x[1], x[place] = 0, np.nan
    assert np.isnan(total(x))


def test_which_arrays():
    x = np.ones((256, 256), np.float32)
    assert can_total(x)
    for other in (x[:, :128], x.T, x[:10], x.astype(np.int64), x.astype(np.float16)):
        assert not can_total(other)


@pytest.mark.parametrize("op", [nb.sum, nb.mean])
@pytest.mark.parametrize("keepdim", [False, True])
def test_operations(op, keepdim):
    x = np.random.default_rng(0).integers(-8, 8, (128, 256)).astype(np.float32)
    t = nb.Tensor(x).requires_grad_()
    y = op(t, None, keepdim)
    share = 1 if op is nb.sum else 1 / x.size
    assert y.shape == ((1, 1) if keepdim else ())
    assert y.item() == x.astype(np.float64).sum() * share
    assert op(t.detach().t(), (0, 1), keepdim).item() == y.item()
    assert op(t.detach(), 0, keepdim).shape == ((1, 256) if keepdim else (256,))
    y.sum().backward()
    assert (t.grad.array == np.float32(share)).all()
