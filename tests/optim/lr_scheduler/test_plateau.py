import pytest

import nbgrad as nb
from nbgrad.optim.lr_scheduler import ReduceLROnPlateau
from tests.optim.lr_scheduler.test_formulas import sgd


def after(values, **options):
    scheduler = ReduceLROnPlateau(sgd(1.0), factor=0.5, **options)
    found = []
    for value in values:
        scheduler.step(value)
        found += scheduler.get_last_lr()
    return found


def test_drops_after_patience():
    assert after([3, 2, 2, 2, 2, 1, 1, 1], patience=1) == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert after([1, 2, 3, 3, nb.tensor(3.0)], patience=0, mode="max") == [1, 1, 1, 0.5, 0.25]


def test_cooldown_and_smallest_rate():
    assert after([1] * 6, patience=0, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert after([1] * 5, patience=0, min_lr=0.3) == [1, 0.5, 0.3, 0.3, 0.3]


def test_what_counts_as_better():
    assert after([1, 0.95, 0.92], patience=0, threshold=0.1) == [1, 0.5, 0.25]
    assert after([1, 0.95, 0.8], patience=0, threshold=0.1, threshold_mode="abs") == [1, 0.5, 0.5]


def test_resume():
    scheduler, other = (ReduceLROnPlateau(sgd(1.0), factor=0.5, patience=1) for _ in range(2))
    scheduler.step(1.0)
    scheduler.step(1.0)
    other.load_state_dict(scheduler.state_dict())
    other.step(1.0)
    assert other.get_last_lr() == [0.5]


def test_mistakes():
    with pytest.raises(ValueError, match="Factor"):
        ReduceLROnPlateau(sgd(1.0), factor=1.0)
    with pytest.raises(ValueError, match="mode up"):
        ReduceLROnPlateau(sgd(1.0), mode="up")
    with pytest.raises(ValueError, match="threshold mode"):
        ReduceLROnPlateau(sgd(1.0), threshold_mode="big")
    with pytest.raises(ValueError, match="min_lrs"):
        ReduceLROnPlateau(sgd(1.0), min_lr=[0.1, 0.2])
