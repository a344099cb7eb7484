import numpy as np
import pytest
from verdict import CANT_TELL, IMPROVED, REGRESSED, confirm, judge


@pytest.fixture
def whole(session):
    """What regress.py says in the end: suspected, then confirmed in new processes."""

    def decide(seed, slowdown, **noise):
        first = judge(session(seed, slowdown, n=3, **noise), 3, n_figures=50)
        if first.word == CANT_TELL:
            return first
        return confirm(first, judge(session(10_000 + seed, slowdown, n=5, **noise), 5))

    return decide


def test_ten_percent_is_found_every_time(whole):
    assert [whole(seed, 1.10).word for seed in range(30)] == [REGRESSED] * 30


def test_ten_percent_faster_is_an_improvement(whole):
    assert [whole(seed, 1 / 1.10).word for seed in range(30)] == [IMPROVED] * 30


def test_no_difference_is_never_named(whole):
    assert {whole(seed, 1.0).word for seed in range(200)} == {CANT_TELL}


def test_no_difference_is_rarely_named_even_where_processes_differ_by_a_tenth(whole):
    words = [whole(seed, 1.0, process_noise=0.1).word for seed in range(200)]
    assert words.count(CANT_TELL) >= 198  # Note [When a difference is named] G1: 1 in 2,500


def test_without_the_second_measurement_such_processes_raise_false_alarms(session):
    words = [judge(session(seed, 1.0, process_noise=0.1), 3).word for seed in range(200)]
    assert words.count(CANT_TELL) < 198


def test_without_separation_medians_alone_would_raise_false_alarms(session):
    changes = [judge(session(seed, 1.0, process_noise=0.05), 3).change for seed in range(100)]
    assert np.mean(np.abs(changes) > 0.04) > 0.1


def test_a_difference_too_small_to_matter_is_not_named(whole):
    quiet = {"process_noise": 0.001, "block_noise": 0.001}
    assert whole(0, 1.02, **quiet).word == CANT_TELL
    assert whole(0, 1.05, **quiet).word == REGRESSED


def test_a_word_needs_both_measurements(session):
    slower, faster = (judge(session(0, s), 3) for s in (1.2, 0.8))
    same = judge(session(0, 1.0), 3)
    assert confirm(slower, slower).word == REGRESSED
    assert confirm(slower, same).word == CANT_TELL
    assert confirm(slower, faster).word == CANT_TELL


def test_change_and_interval_are_of_our_time(session):
    found = judge(session(0, 1.2), 3)
    assert found.change == pytest.approx(0.2, abs=0.03)
    assert found.low <= found.change <= found.high
    assert 0 < found.again < 0.05
