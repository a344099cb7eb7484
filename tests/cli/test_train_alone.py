"""The run in one process: it learns, the seed decides everything, and it reaches the accuracy that is promised."""

import numpy as np
import pytest

from nbgrad.cli.train_alone import OneProcess
from nbgrad.cli.train_loop import accuracy, train
from nbgrad.cli.train_plan import EPOCHS, Plan
from nbgrad.data import digits


def run(plan):
    system = OneProcess(plan)
    return system, train(plan, digits(), system, lambda curve: None)


def test_it_learns():
    system, curve = run(Plan(epochs=8))
    assert len(curve.losses) == 8 * 23
    assert curve.epoch_losses[-1] < 0.5 * curve.epoch_losses[0]
    assert curve.epoch_losses[0] == pytest.approx(np.mean(curve.losses[:23]))
    assert accuracy(system, digits()) > 0.9


def test_seed_decides_the_run():
    (a, first), (b, again), (_, other) = (run(Plan(epochs=1, seed=s)) for s in (1, 1, 2))
    assert first.losses == again.losses != other.losses
    assert all(np.array_equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


@pytest.mark.parametrize(
    ("model", "seeds"),
    [
        ("mlp", range(5)),
        pytest.param("cnn", range(5), marks=pytest.mark.slow),
    ],
)
def test_mean_accuracy_over_seeds(model, seeds):
    plans = [Plan(model, epochs=EPOCHS[model], seed=seed) for seed in seeds]
    found = [accuracy(run(plan)[0], digits()) for plan in plans]
    assert np.mean(found) >= 0.97, found
