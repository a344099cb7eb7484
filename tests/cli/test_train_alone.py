"""The run in one process: it learns, and the seed decides everything."""

import numpy as np
import pytest

from nbgrad.cli.train_alone import OneProcess, set_rate
from nbgrad.cli.train_loop import train
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_tasks import task_of


def run(plan):
    task = task_of(plan)
    system = OneProcess(task, plan)
    return task, system, train(plan, task, system, lambda curve, is_end: None)


def test_it_learns():
    task, system, curve = run(Plan(epochs=8))
    assert len(curve.losses) == 8 * 23
    assert curve.epoch_losses[-1] < 0.5 * curve.epoch_losses[0]
    assert curve.epoch_losses[0] == pytest.approx(np.mean(curve.losses[:23]))
    assert task.report(system.model)["test_accuracy"] > 0.9


def test_seed_decides_the_run():
    (_, a, first), (_, b, again), (_, _, other) = (run(Plan(epochs=1, seed=s)) for s in (1, 1, 2))
    assert first.losses == again.losses != other.losses
    assert all(np.array_equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def test_rates_are_those_of_all_groups():
    plan = Plan()
    system = OneProcess(task_of(plan), plan)
    set_rate(system.optimizer, 0.5)
    assert [group["lr"] for group in system.optimizer.param_groups] == [0.5]
