"""Digits: images that are moved by at most a pixel, and the accuracy that is promised."""

import numpy as np
import pytest

from nbgrad.cli import train_digits
from nbgrad.cli.train_alone import OneProcess
from nbgrad.cli.train_digits import EPOCHS, jitter
from nbgrad.cli.train_loop import train
from nbgrad.cli.train_plan import Batches, Plan
from nbgrad.cli.train_tasks import task_of


def test_jitter_moves_half_of_the_images_by_up_to_one_pixel(monkeypatch):
    monkeypatch.setattr(train_digits, "NOISE", 0.0)
    dot = np.zeros((2000, 8, 8), np.float32)
    dot[:, 4, 4] = 1
    images = jitter(dot.reshape(2000, 64), np.random.default_rng(0)).reshape(2000, 8, 8)
    where = np.argwhere(images == 1)
    assert where[:, 0].tolist() == list(range(2000))
    assert set(map(tuple, where[:, 1:])) == {(i, j) for i in (3, 4, 5) for j in (3, 4, 5)}
    stayed = np.mean(np.all(where[:, 1:] == 4, axis=1))
    assert abs(stayed - (0.5 + 0.5 / 9)) < 0.05


def test_jitter_adds_noise_and_keeps_its_input():
    x = np.full((1000, 64), 0.5, np.float32)
    noisy = jitter(x, np.random.default_rng(0))
    assert noisy.dtype == np.float32
    inner = noisy.reshape(1000, 8, 8)[:, 1:-1, 1:-1]
    assert abs(inner.std() - train_digits.NOISE) < 0.01
    assert np.all(x == 0.5)


def test_an_epoch_has_every_label():
    task = task_of(Plan())
    labels = np.concatenate([y for _, y in Batches(Plan(), task).in_epoch(0)])
    assert np.bincount(labels).tolist() == np.bincount(task.data.train_y).tolist()


@pytest.mark.parametrize(
    ("model", "seeds"),
    [
        ("mlp", range(5)),
        pytest.param("cnn", range(5), marks=pytest.mark.slow),
    ],
)
def test_mean_accuracy_over_seeds(model, seeds):
    found = []
    for seed in seeds:
        plan = Plan(model=model, epochs=EPOCHS[model], seed=seed)
        task = task_of(plan)
        system = OneProcess(task, plan)
        train(plan, task, system, lambda curve, is_end: None)
        found.append(task.report(system.model)["test_accuracy"])
    assert np.mean(found) >= 0.97, found
