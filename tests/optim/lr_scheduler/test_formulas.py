import math

import pytest

import nbgrad as nb
from nbgrad import optim
from nbgrad.optim import lr_scheduler as schedules

N = 15


def sgd(*rates):
    groups = [
        {"params": [nb.zeros(1, requires_grad=True)], "lr": lr} for lr in rates or (0.5, 0.25)
    ]
    return optim.SGD(groups, momentum=0.9)


def rates(scheduler, n=N):
    """Rates of all groups at steps 0 to n."""
    found = [scheduler.get_last_lr()]
    for _ in range(n):
        scheduler.step()
        assert scheduler.get_last_lr() == [g["lr"] for g in scheduler.optimizer.param_groups]
        found.append(scheduler.get_last_lr())
    return found


def warm_restart(t):
    for length in (4, 8, 16):
        if t < length:
            return (1 + math.cos(math.pi * t / length)) / 2
        t -= length
    raise AssertionError(t)


CASES = [
    (lambda o: schedules.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    (lambda o: schedules.MultiplicativeLR(o, lambda t: 0.9), lambda t: 0.9**t),
    (lambda o: schedules.StepLR(o, 4, 0.3), lambda t: 0.3 ** (t // 4)),
    (
        lambda o: schedules.MultiStepLR(o, [7, 3, 7], 0.5),
        lambda t: 0.5 ** ((t >= 3) + 2 * (t >= 7)),
    ),
    (lambda o: schedules.ExponentialLR(o, 0.8), lambda t: 0.8**t),
    (lambda o: schedules.ConstantLR(o, 0.2, 6), lambda t: 0.2 if t < 6 else 1.0),
    (lambda o: schedules.LinearLR(o, 0.2, 0.7, 5), lambda t: 0.2 + 0.1 * min(t, 5)),
    (lambda o: schedules.PolynomialLR(o, 9, 1.7), lambda t: (1 - min(t, 9) / 9) ** 1.7),
    (lambda o: schedules.CosineAnnealingLR(o, 6), lambda t: (1 + math.cos(math.pi * t / 6)) / 2),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 4, 2), warm_restart),
]


@pytest.mark.parametrize(("make", "factor"), CASES)
def test_factor_of_the_first_rate(make, factor):
    for t, (a, b) in enumerate(rates(make(sgd()))):
        assert (a, b) == pytest.approx((0.5 * factor(t), 0.25 * factor(t)), abs=1e-12)


@pytest.mark.parametrize(("make", "factor"), CASES)
def test_go_to_a_step_and_resume(make, factor):
    scheduler = make(sgd())
    scheduler.step(7)
    assert scheduler.get_last_lr() == pytest.approx([0.5 * factor(7), 0.25 * factor(7)], abs=1e-12)
    scheduler, other = make(sgd()), make(sgd())
    rates(scheduler, 5)
    other.optimizer.load_state_dict(scheduler.optimizer.state_dict())
    other.load_state_dict(scheduler.state_dict())
    assert rates(other, 4) == rates(scheduler, 4)


def test_a_smallest_rate():
    scheduler = schedules.CosineAnnealingLR(sgd(1.0), 4, eta_min=0.5)
    assert [r for (r,) in rates(scheduler, 8)][::2] == pytest.approx([1.0, 0.75, 0.5, 0.75, 1.0])
    scheduler = schedules.CosineAnnealingWarmRestarts(sgd(1.0), 2, eta_min=0.5)
    assert [r for (r,) in rates(scheduler, 3)] == pytest.approx([1.0, 0.75, 1.0, 0.75])


def test_resuming_needs_the_first_rate():
    with pytest.raises(KeyError, match="initial_lr"):
        schedules.StepLR(sgd(), 2, last_epoch=3)


def test_mistakes():
    with pytest.raises(TypeError, match="not an Optimizer"):
        schedules.StepLR(None, 2)
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas"):
        schedules.LambdaLR(sgd(), [abs])
    with pytest.raises(ValueError, match="between 0 and 1"):
        schedules.ConstantLR(sgd(), factor=2.0)
    with pytest.raises(ValueError, match="Starting"):
        schedules.LinearLR(sgd(), start_factor=0.0)
    with pytest.raises(ValueError, match="T_0"):
        schedules.CosineAnnealingWarmRestarts(sgd(), 0)
