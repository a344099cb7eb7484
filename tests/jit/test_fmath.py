"""The polynomials against libm in float64, over the whole range."""

import math

import numpy as np
import pytest

from nbgrad.jit import fmath, kernel

exp, exp_below, tanh, sigmoid, erf, erf_near = (
    fmath.exp,
    fmath.exp_below,
    fmath.tanh,
    fmath.sigmoid,
    fmath.erf,
    fmath.erf_near,
)


@kernel("a>a")
def run_exp(x, y):
    for i in range(x.size):
        y[i] = exp(x[i], x)


@kernel("a>a")
def run_exp_below(x, y):
    for i in range(x.size):
        y[i] = exp_below(x[i], x)


@kernel("a>a")
def run_tanh(x, y):
    for i in range(x.size):
        y[i] = tanh(x[i], x)


@kernel("a>a")
def run_sigmoid(x, y):
    for i in range(x.size):
        y[i] = sigmoid(x[i], x)


@kernel("a>a")
def run_erf(x, y):
    for i in range(x.size):
        y[i] = erf(x[i], x)


@kernel("a>a")
def run_erf_near(x, y):
    for i in range(x.size):
        y[i] = erf_near(x[i], x)


def errors_in_ulp(run, reference, x):
    y = np.empty_like(x)
    run(x, y)
    right = reference(x.astype(np.longdouble))
    spacing = np.spacing(np.abs(right).astype(x.dtype)).astype(np.longdouble)
    return float(np.max(np.abs(y.astype(np.longdouble) - right) / spacing))


def points(dtype, low, high):
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(low, high, 100_001), rng.uniform(-1, 1, 20_000)])
    return x.astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [(np.float32, -87.3, 88.7), (np.float64, -708.3, 709.7)]
)
def test_exp_is_within_two_ulp(dtype, low, high):
    assert errors_in_ulp(run_exp, np.exp, points(dtype, low, high)) < 2


@pytest.mark.parametrize(("dtype", "low"), [(np.float32, -87.3), (np.float64, -708.3)])
def test_exp_below_is_within_two_ulp(dtype, low):
    assert errors_in_ulp(run_exp_below, np.exp, -np.abs(points(dtype, low, 0))) < 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_below_at_its_edges(dtype):
    x = np.array([0.0, -0.0, -1e4, -math.inf, math.nan], dtype)
    y = np.empty_like(x)
    run_exp_below(x, y)
    assert y[:4].tolist() == [1, 1, 0, 0]
    assert np.isnan(y[4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_is_within_four_ulp(dtype):
    assert errors_in_ulp(run_tanh, np.tanh, points(dtype, -30, 30)) < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_within_four_ulp(dtype):
    assert errors_in_ulp(run_sigmoid, lambda x: 1 / (1 + np.exp(-x)), points(dtype, -80, 80)) < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_is_within_two_ulp(dtype):
    small = np.geomspace(1e-30, 1, 20_000).astype(dtype)
    x = np.concatenate([points(dtype, -7, 7), small, np.nextafter(small[-1:], dtype(2))])
    # Of libm, in float64: half an ulp of its own.
    assert errors_in_ulp(run_erf, lambda v: np.array([math.erf(u) for u in v]), x) < 2


@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 6), (np.float64, 2)])
def test_the_cheaper_erf_is_within_six_ulp(dtype, most):
    x = points(dtype, -7, 7)
    assert errors_in_ulp(run_erf_near, lambda v: np.array([math.erf(u) for u in v]), x) < most
    y = np.empty(1, dtype)
    run_erf_near(np.array([math.nan], dtype), y)
    assert np.isnan(y[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_of_the_range(dtype):
    x = np.array([-np.inf, -1e5, 0.0, 1e5, np.inf, np.nan], dtype)
    y = np.empty_like(x)
    run_exp(x, y)
    np.testing.assert_array_equal(y, np.array([0, 0, 1, np.inf, np.inf, np.nan], dtype))
    run_tanh(x, y)
    np.testing.assert_array_equal(y, np.array([-1, -1, 0, 1, 1, np.nan], dtype))
    run_sigmoid(x, y)
    np.testing.assert_array_equal(y, np.array([0, 0, 0.5, 1, 1, np.nan], dtype))
    run_erf(x, y)
    assert np.isnan(y[-1])
    np.testing.assert_array_equal(y[:-1], [-1, -1, 0, 1, 1])
