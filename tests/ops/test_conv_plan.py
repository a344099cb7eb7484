import numpy as np
import pytest

from nbgrad.ops.conv_plan import Plan
from tests.arrays import values

CASES = [
    ((2, 2, 5, 4), (3, 2, 3, 2), 1, 0, 1, 1),
    ((1, 4, 6, 5), (4, 2, 2, 3), 2, 1, 1, 2),
    ((2, 2, 7, 7), (2, 1, 3, 3), 1, 2, 2, 2),
    ((2, 3, 4, 4), (5, 3, 1, 1), 1, 0, 1, 1),
    ((3, 2, 5, 4), (3, 2, 3, 3), 1, 1, 1, 1),  # as many places as before: long runs
    ((2, 4, 7, 3), (4, 2, 5, 3), 1, (4, 2), 2, 2),
    ((2, 1, 3, 2), (2, 1, 5, 7), 1, (2, 3), 1, 1),  # windows larger than the image
    (
        (5, 16, 30, 30),
        (3, 16, 3, 3),
        1,
        1,
        1,
        1,
    ),  # more columns than CACHE_BYTES, in two portions and more
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


@pytest.mark.parametrize("case", CASES)
def test_columns_and_images_take_the_same_places_by_both_ways(case):
    plan = Plan(*case)
    x = values(case[0], 0)
    columns = plan.columns(x)
    plan.is_same = False
    np.testing.assert_array_equal(plan.columns(x), columns)


@pytest.mark.parametrize("case", CASES)
def test_portions_change_nothing(case, monkeypatch):
    plan = Plan(*case)
    x, w = values(case[0], 0), values(case[1], 1)

    def all_three():
        y = plan.product(x, w)
        return y, plan.image_bar(y, w), plan.filter_bar(y, x)

    wanted = all_three()
    for n_bytes in (1, 1 << 40):
        monkeypatch.setattr("nbgrad.ops.conv_plan.CACHE_BYTES", n_bytes)
        for found, want in zip(all_three(), wanted, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)
