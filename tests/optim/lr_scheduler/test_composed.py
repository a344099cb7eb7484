import pytest

from nbgrad.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    SequentialLR,
)
from tests.optim.lr_scheduler.test_formulas import rates, sgd


def test_one_after_the_other():
    optimizer = sgd(1.0)
    parts = [
        ConstantLR(optimizer, 0.1, 9),
        ExponentialLR(optimizer, 0.5),
        CosineAnnealingLR(optimizer, 2),
    ]
    scheduler = SequentialLR(optimizer, parts, [3, 5])
    found = [r for (r,) in rates(scheduler, 7)]
    assert found == pytest.approx([0.1, 0.1, 0.1, 1.0, 0.5, 1.0, 0.5, 0.0])


def test_all_at_once():
    optimizer = sgd(1.0)
    parts = [
        ConstantLR(optimizer, 0.1, 2),
        ExponentialLR(optimizer, 0.5),
        LinearLR(optimizer, 0.5, 1.0, 2),
    ]
    found = [r for (r,) in rates(ChainedScheduler(parts), 3)]
    assert found == pytest.approx([0.1 * 0.5, 0.1 * 0.5 * 0.75, 0.25, 0.125])


def test_resume():
    def made():
        optimizer = sgd(1.0)
        parts = [ExponentialLR(optimizer, 0.5), LinearLR(optimizer, 0.5, 1.0, 3)]
        return SequentialLR(optimizer, parts, [2])

    scheduler, other = made(), made()
    rates(scheduler, 3)
    other.optimizer.load_state_dict(scheduler.optimizer.state_dict())
    other.load_state_dict(scheduler.state_dict())
    assert rates(other, 3) == rates(scheduler, 3)


def test_mistakes():
    optimizer = sgd(1.0)
    part = ExponentialLR(optimizer, 0.5)
    with pytest.raises(ValueError, match="at least one"):
        ChainedScheduler([])
    with pytest.raises(ValueError, match="same optimizer"):
        ChainedScheduler([part, ExponentialLR(sgd(1.0), 0.5)])
    with pytest.raises(ValueError, match="milestone"):
        SequentialLR(optimizer, [part], [2])
