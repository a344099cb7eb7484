import math

import numpy as np
import pytest

import nbgrad as nb

X = np.concatenate([np.linspace(-6, 6, 101), [0.0, 1e-300, 30.0]])
POSITIVE = np.linspace(0.05, 30, 101)
EULER = 0.5772156649015329


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_error_function(name):
    expected = [getattr(math, name)(v) for v in X]
    np.testing.assert_allclose(getattr(nb, name)(nb.Tensor(X)).array, expected, rtol=1e-14)
    y = getattr(nb, name)(nb.Tensor(X.astype(np.float32)))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.array, expected, rtol=2e-4, atol=1e-7)


def test_lgamma():
    expected = [math.lgamma(v) for v in POSITIVE]
    np.testing.assert_allclose(
        nb.lgamma(nb.Tensor(POSITIVE)).array, expected, rtol=1e-13, atol=1e-14
    )


def test_polygamma():
    one = nb.tensor(np.float64(1.0))
    half = nb.tensor(np.float64(0.5))
    assert nb.digamma(one).item() == pytest.approx(-EULER, rel=1e-14)
    assert nb.digamma(half).item() == pytest.approx(-EULER - 2 * math.log(2), rel=1e-14)
    assert nb.polygamma(1, one).item() == pytest.approx(math.pi**2 / 6, rel=1e-14)
    assert nb.polygamma(1, half).item() == pytest.approx(math.pi**2 / 2, rel=1e-14)
    assert nb.polygamma(2, one).item() == pytest.approx(-2 * 1.2020569031595942, rel=1e-13)
    assert nb.isnan(nb.digamma(-one))
