"""Tasks by name: each has four blocks that fit together, a loss, and a rate for each step."""

import math

import pytest

import nbgrad as nb
from nbgrad.cli.train_plan import Batches, Plan
from nbgrad.cli.train_stages import whole
from nbgrad.cli.train_tasks import TASKS, task_of


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_goes_through(name):
    plan = Plan(task=name, batch_size=4)
    task = task_of(plan)
    assert type(task) is TASKS[name]
    x, y = Batches(plan, task).get(0, 1)
    loss = task.loss(whole(task, 0)(nb.from_numpy(x)), nb.from_numpy(y))
    loss.backward()
    assert math.isfinite(loss.item())
    rates = [task.factor(step, step / 1000) for step in range(1001)]
    assert max(rates) <= 1.0
    assert 0.0 < rates[-1] < 0.2
    assert rates[-1] == min(rates[60:])
