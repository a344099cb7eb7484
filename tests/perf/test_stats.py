import numpy as np
import pytest
from stats import compare, interval, slope, summary


def machine(rng, rounds):
    """Speed of a noisy machine: constant for a while, then up to twice slower; and blocks that were interrupted."""
    speed = np.repeat(rng.uniform(1, 2, -(-rounds // 10)), 10)[:rounds]

    def blocks(time):
        return (
            time * speed * rng.normal(1, 0.03, rounds) * np.where(rng.random(rounds) < 0.05, 5, 1)
        )

    return blocks


@pytest.mark.parametrize("ratio", [1.0, 1.05, 12.0])
def test_compare_finds_the_ratio_through_noise(ratio):
    covered = 0
    for seed in range(20):
        blocks = machine(np.random.default_rng(seed), 200)
        found = compare(ours=blocks(1.0), other=blocks(ratio), again=blocks(1.0))
        assert found.ratio == pytest.approx(ratio, rel=0.02)
        assert found.again == pytest.approx(1, rel=0.02)
        covered += found.low <= ratio <= found.high
    assert covered >= 17  # of 20 intervals at 95 %


def test_a_ratio_above_1_means_that_the_other_is_slower():
    assert compare(ours=[1, 1], other=[2, 2], again=[1, 1]).ratio == pytest.approx(2)


def test_interval_narrows_with_rounds_and_holds_the_median():
    values = np.random.default_rng(0).normal(3, 1, 1000)
    wide, narrow = interval(values[:30]), interval(values)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    assert narrow[0] < np.median(values) < narrow[1]


def test_interval_of_one_round_is_that_round():
    assert interval([2.0]) == (2.0, 2.0)


def test_summary():
    found = summary(range(1, 102))
    assert (found.median, found.p99, found.max, found.n) == (51, 100, 101, 101)


def test_the_slope_of_what_stays():
    rng = np.random.default_rng(0)
    assert slope(np.full(90, 7.0)).is_flat
    one_step = np.r_[np.zeros(50), np.ones(40)]
    assert slope(one_step).is_flat
    assert slope(one_step).mean == pytest.approx(1 / 89)
    assert slope(rng.normal(0, 5, 90)).is_flat


def test_the_slope_of_what_grows():
    rng = np.random.default_rng(0)
    growing = slope(np.cumsum(rng.poisson(1.0, 400)))
    assert not growing.is_flat
    assert 0.8 < growing.low < growing.mean < growing.high < 1.2
    assert not slope(-np.arange(90)).is_flat
