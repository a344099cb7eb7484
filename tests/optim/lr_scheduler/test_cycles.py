import pytest

import nbgrad as nb
from nbgrad import optim
from nbgrad.optim.lr_scheduler import CyclicLR, OneCycleLR
from tests.optim.lr_scheduler.test_formulas import rates, sgd


def first(scheduler, n):
    return [r[0] for r in rates(scheduler, n)]


def test_triangles():
    assert first(CyclicLR(sgd(), 0.0, 1.0, 2, 4), 6) == pytest.approx(
        [0, 0.5, 1, 0.75, 0.5, 0.25, 0]
    )
    halves = CyclicLR(sgd(), 0.0, [1.0, 2.0], 1, mode="triangular2")
    assert first(halves, 6) == pytest.approx([0, 1, 0, 0.5, 0, 0.25, 0])
    shrinking = CyclicLR(sgd(), 0.0, 1.0, 1, mode="exp_range", gamma=0.5)
    assert first(shrinking, 3) == pytest.approx([0, 0.5, 0, 0.125])
    own = CyclicLR(sgd(), 0.0, 1.0, 1, scale_fn=lambda cycle: 1 / cycle)
    assert first(own, 3) == pytest.approx([0, 1, 0, 0.5])


def test_momentum_goes_the_other_way():
    scheduler = CyclicLR(sgd(), 0.0, 1.0, 2)
    scheduler.step()
    scheduler.step()
    assert scheduler.optimizer.param_groups[0]["momentum"] == pytest.approx(0.8)
    adam = optim.Adam([nb.zeros(1, requires_grad=True)])
    OneCycleLR(adam, 1.0, total_steps=5)
    assert adam.param_groups[0]["betas"] == (0.95, 0.999)


def test_one_cycle():
    found = first(
        OneCycleLR(sgd(), 1.0, total_steps=11, pct_start=2 / 11, anneal_strategy="linear"), 10
    )
    assert found[:2] == pytest.approx([0.04, 1.0])
    assert found[1:] == pytest.approx([1 + (4e-6 - 1) * k / 9 for k in range(10)])
    three = OneCycleLR(sgd(), 1.0, epochs=2, steps_per_epoch=5, three_phase=True, pct_start=0.3)
    found = first(three, 9)
    assert (found[2], found[4], found[9]) == pytest.approx((1.0, 0.04, 4e-6))


def test_a_step_too_many():
    scheduler = OneCycleLR(sgd(), 1.0, total_steps=2)
    scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match="total number of steps|total steps is 2"):
        scheduler.step()


def test_mistakes():
    plain = optim.Adagrad([nb.zeros(1, requires_grad=True)])
    with pytest.raises(ValueError, match="must support momentum"):
        CyclicLR(plain, 0.0, 1.0)
    with pytest.raises(ValueError, match="must support momentum"):
        OneCycleLR(plain, 1.0, total_steps=3)
    with pytest.raises(ValueError, match="mode is invalid"):
        CyclicLR(sgd(), 0.0, 1.0, mode="square")
    with pytest.raises(ValueError, match="total_steps OR"):
        OneCycleLR(sgd(), 1.0)
    with pytest.raises(ValueError, match="expected 2 values for max_lr"):
        OneCycleLR(sgd(), [1.0], total_steps=3)
