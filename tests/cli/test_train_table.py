"""Tables: a file of the user's is learned, scaled as it should be, and scored in its own units."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.cli.train_alone import OneProcess
from nbgrad.cli.train_loop import train
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_table import TableTask, scales


def test_the_cars_are_learned():
    plan = Plan(task="table", strategy="shared", epochs=30, lr=TableTask.lr)
    task = TableTask(plan)
    system = OneProcess(task, plan)
    train(plan, task, system, lambda curve, is_end: None)
    found = task.report(system.model)
    assert found["target"] == "mpg"
    assert found["test_r2"] > 0.7
    assert 1.5 < found["test_rmse"] < 5.0  # miles per gallon


def test_scores_are_in_units_of_the_target(tmp_path):
    rng = np.random.default_rng(5)  # another one than the split is drawn with
    y = 1000.0 + 50.0 * rng.standard_normal(100)
    np.savez(tmp_path / "a.npz", x=rng.standard_normal(100), same=np.ones(100), y=y)
    task = TableTask(Plan(task="table", data=str(tmp_path / "a.npz")))
    assert np.abs(task.x.mean(axis=0)[0]) < 1e-6
    assert task.x[:, 1].tolist() == [0.0] * 80
    assert task.y.std() == pytest.approx(1.0, abs=1e-5)
    mean = nb.nn.Sequential(nb.nn.Linear(2, 1), nb.nn.Flatten(0))
    for p in mean.parameters():
        nb.nn.init.zeros_(p)
    found = task.report(mean)  # of a model that says the mean of the training rows
    errors = task.table.test_y - task.table.train_y.mean()
    assert found["test_rmse"] == pytest.approx(
        np.sqrt((errors.astype(float) ** 2).mean()), rel=1e-4
    )
    assert found["test_r2"] == pytest.approx(0.0, abs=0.2)


def test_scales_of_a_constant_column():
    mean, deviation = scales(np.array([[1.0, 3.0], [1.0, 5.0]], np.float32))
    assert mean.tolist() == [1.0, 4.0]
    assert deviation.tolist() == [1.0, 1.0]


def test_rates_fall():
    task = TableTask(Plan(task="table"))
    assert task.factor(0, 0.0) == 1.0
    assert task.factor(9, 1.0) == pytest.approx(0.02)
