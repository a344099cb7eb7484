import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import check_vjp, op
from nbgrad.errors import DtypeError


def wrong(change):
    """An op square with a VJP that is wrong in one way."""

    @op(inputs=2)
    def product(x, y, needs):
        return x * y, (x, y, needs)

    @product.vjp
    def product(residuals, g):
        x, y, needs = residuals
        return change(g * y, g * x, needs)

    return product


X, Y = np.array([1.0, 2.0]), np.array([3.0, 4.0])


def test_a_right_vjp_passes():
    assert check_vjp(wrong(lambda x_bar, y_bar, needs: (x_bar, y_bar)), X, Y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x_bar, y_bar, needs: (x_bar * 1.001, y_bar), "finite differences"),
        (lambda x_bar, y_bar, needs: (y_bar, x_bar), "finite differences"),
        (lambda x_bar, y_bar, needs: (None, y_bar), "finite differences"),
        (lambda x_bar, y_bar, needs: (x_bar[:1], y_bar), "shape"),
        (lambda x_bar, y_bar, needs: (x_bar.astype(np.float32), y_bar), "dtype"),
        (lambda x_bar, y_bar, needs: (x_bar * (1 + all(needs)) / 2, y_bar), "other inputs"),
        (lambda x_bar, y_bar, needs: (x_bar if all(needs) else 0 * x_bar, y_bar), "other inputs"),
    ],
)
def test_a_wrong_vjp_is_caught(change, message):
    with pytest.raises(AssertionError, match=message):
        check_vjp(wrong(change), X, Y)


def test_small_errors_in_one_element_are_caught():
    def change(x_bar, y_bar, needs):
        x_bar = x_bar.copy()
        x_bar[1] += 1e-3
        return x_bar, y_bar

    with pytest.raises(AssertionError):
        check_vjp(wrong(change), X, Y)


def test_float32_is_refused():
    with pytest.raises(DtypeError, match="float64"):
        check_vjp(nb.exp, np.ones(1, np.float32))


def test_several_results_and_keywords():
    assert check_vjp(lambda x: nb.split(x, 2), np.arange(5.0))
    assert check_vjp(nb.sum, np.ones((2, 3)), dim=1)
