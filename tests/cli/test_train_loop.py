"""The loop: it cools, it says how it goes, it stops at a loss that is no number, and leaves what it learned."""

import numpy as np
import pytest

from nbgrad.cli.journal import Tail
from nbgrad.cli.train_loop import drive, train
from nbgrad.cli.train_plan import COOLING, Plan
from nbgrad.data import digits
from nbgrad.errors import NonFiniteError


class Recorder:
    """A system that learns nothing and remembers what it was told."""

    def __init__(self):
        self.rates, self.steps = [], 0

    def set_rate(self, lr):
        self.rates.append((self.steps, lr))

    def step(self, x, y):
        self.steps += 1
        return 1.0

    def logits(self, x):
        return np.eye(10)[np.zeros(len(x), int)]  # every image shows a 0

    def values(self):
        return [np.array([self.steps], float)]

    def figures(self):
        return {"steps": self.steps}


def test_last_quarter_has_a_lower_rate():
    recorder = Recorder()
    train(Plan(epochs=4, lr=0.5), digits(), recorder, lambda curve: None)
    assert recorder.rates == [(0, 0.5), (3 * 23, 0.5 * COOLING)]


def test_loss_that_is_no_number_ends_the_run():
    recorder = Recorder()
    recorder.step = lambda x, y: float("nan")
    with pytest.raises(NonFiniteError, match="epoch 1 .* --lr"):
        train(Plan(lr=100.0), digits(), recorder, lambda curve: None)


def test_drive_leaves_a_journal_and_the_parameters(tmp_path):
    plan = Plan(epochs=2)
    drive(plan, Recorder(), tmp_path)
    start, *epochs, end = Tail(tmp_path / "journal").read()
    assert start == {"kind": "start"}
    assert [(line["epoch"], line["loss"]) for line in epochs] == [(1, 1.0), (2, 1.0)]
    assert end["losses"] == [1.0] * 46
    assert end["test_accuracy"] == 0.1
    assert end["steps"] == 46
    with np.load(tmp_path / "values.npz") as file:
        assert file["arr_0"].tolist() == [46.0]


def test_drive_says_why_it_stopped(tmp_path):
    recorder = Recorder()
    recorder.step = lambda x, y: float("inf")
    drive(Plan(), recorder, tmp_path)
    assert [line["kind"] for line in Tail(tmp_path / "journal").read()] == ["start", "failed"]
