import math

import numpy as np
import pytest

from nbgrad.optim.line_search import cubic, strong_wolfe


def search(f, slope, t):
    def evaluate(t):
        return f(t), np.array([slope(t)])

    return strong_wolfe(evaluate, t, f(0.0), np.array([slope(0.0)]), np.array([1.0]))


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0, 30.0])
def test_a_step_that_is_long_and_low_enough(t):
    found, f, g = search(lambda t: (t - 2) ** 2, lambda t: 2 * (t - 2), t)
    assert f == (found - 2) ** 2
    assert f <= 4 + 1e-4 * found * -4
    assert abs(g[0]) <= 0.9 * 4


@pytest.mark.parametrize("t", [0.01, 1.0, 8.0])
def test_a_valley_behind_a_hill(t):
    found, f, g = search(lambda t: math.cos(t) - 0.1 * t, lambda t: -math.sin(t) - 0.1, t)
    assert f < 1.0
    assert found > 0.0
    assert np.isfinite(g).all()


def test_the_minimiser_of_a_cubic():
    a = (0.0, 0.0, np.zeros(1), -1.0)  # of x**3 - x: at 1 / sqrt(3)
    b = (1.0, 0.0, np.zeros(1), 2.0)
    assert cubic(a, b) == pytest.approx(3**-0.5)
    assert cubic(b, a) == pytest.approx(3**-0.5)
