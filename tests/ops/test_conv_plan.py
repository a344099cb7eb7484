import numpy as np
import pytest

from nbgrad.ops.conv_plan import Plan
from tests.arrays import values

CASES = [
    ((2, 2, 5, 4), (3, 2, 3, 2), 1, 0, 1, 1),
    ((1, 4, 6, 5), (4, 2, 2, 3), 2, 1, 1, 2),
    ((2, 2, 7, 7), (2, 1, 3, 3), 1, 2, 2, 2),
    ((2, 3, 4, 4), (5, 3, 1, 1), 1, 0, 1, 1),
]


@pytest.mark.parametrize("case", CASES)
def test_the_three_are_derivatives_of_one_number(case):
    """<g, product(x, w)> = <image_bar(g, w), x> = <filter_bar(g, x), w>."""
    plan = Plan(*case)
    x, w = values(case[0], 0), values(case[1], 1)
    y = plan.product(x, w)
    g = values(y.shape, 2)
    number = np.vdot(g, y)
    assert np.vdot(plan.image_bar(g, w), x) == pytest.approx(number)
    assert np.vdot(plan.filter_bar(g, x), w) == pytest.approx(number)


def test_views_are_as_good_as_arrays_in_order():
    plan = Plan(*CASES[0])
    x, w = values(CASES[0][0], 0), values(CASES[0][1], 1)
    strided = np.ascontiguousarray(x.T).T
    np.testing.assert_array_equal(plan.product(strided, w), plan.product(x, w))
    np.testing.assert_allclose(plan.product(x, np.ascontiguousarray(w.T).T), plan.product(x, w))
