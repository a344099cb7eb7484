"""The loop: rates, meetings, a loss that is no number, the journal, checkpoints, and time that is over."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from nbgrad.checkpoint import load_file
from nbgrad.cli.journal import Tail
from nbgrad.cli.train_loop import System, drive, train
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import whole
from nbgrad.cli.train_tasks import task_of
from nbgrad.errors import NonFiniteError
from tests.cli.driven import WORLDS, run, small

DIGITS = task_of(Plan())


class Recorder(System):
    """A system that learns nothing and remembers what it was told."""

    def __init__(self):
        self.rates, self.sizes, self.meetings = [], [], []

    def step(self, x, y, rate):
        self.rates.append(rate)
        self.sizes.append(len(x))
        return 1.0

    def meet(self, numbers):
        self.meetings.append(len(self.rates))
        return numbers

    def values(self):
        return whole(DIGITS, 0).values()

    def figures(self):
        return {"told": len(self.rates)}


def said_nothing(curve, is_end):
    pass


def test_last_quarter_has_a_lower_rate():
    recorder = Recorder()
    curve = train(Plan(epochs=4, lr=0.5), DIGITS, recorder, said_nothing)
    assert recorder.rates == [0.5] * 3 * 23 + [0.05] * 23
    assert recorder.sizes == ([64] * 22 + [29]) * 4
    assert (curve.step, curve.epoch, len(curve.losses)) == (92, 4, 92)
    assert curve.epoch_losses == [1.0] * 4


def test_who_shares_batches_meets_now_and_then():
    recorder = Recorder()
    recorder.share, recorder.meets_every = (1, 2), 5
    train(Plan(strategy="hogwild", epochs=2), DIGITS, recorder, said_nothing)
    assert recorder.meetings == [5, 10, 11, 15, 20, 22]  # 11 of the 23 batches in an epoch
    assert recorder.sizes == [64] * 22


def test_all_stop_when_the_mean_of_their_clocks_says_so():
    recorder = Recorder()
    parts = iter([0.2, 0.4, 1.5])
    recorder.meet = lambda numbers: [numbers[0], next(parts)]
    curve = train(Plan(minutes=1000.0), DIGITS, recorder, said_nothing)
    assert (curve.step, curve.epoch, curve.part) == (3, 0, 1.5)
    assert len(curve.epoch_losses) == 1


def test_loss_that_is_no_number_ends_the_run():
    recorder = Recorder()
    recorder.step = lambda x, y, rate: float("nan")
    with pytest.raises(NonFiniteError, match=r"epoch 1: .* --lr 100 "):
        train(Plan(lr=100.0), DIGITS, recorder, said_nothing)


def test_drive_leaves_a_journal_and_the_parameters(tmp_path):
    drive(Plan(epochs=2), DIGITS, Recorder(), tmp_path)
    *lines, end = Tail(tmp_path / "journal").read()
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [(line["epoch"], line["loss"], line["part"]) for line in epochs] == [
        (1, 1.0, 0.5),
        (2, 1.0, 1.0),
    ]
    assert end["losses"] == [1.0] * 46
    assert (end["steps"], end["epochs_done"], end["told"]) == (46, 2, 46)
    assert 0.0 <= end["test_accuracy"] <= 0.5  # of an untrained model
    with np.load(tmp_path / "values.npz") as file:
        assert file["arr_0"].shape == (256, 64)


def test_drive_says_why_it_stopped(tmp_path):
    recorder = Recorder()
    recorder.step = lambda x, y, rate: float("inf")
    drive(Plan(), DIGITS, recorder, tmp_path)
    assert [line["kind"] for line in Tail(tmp_path / "journal").read()] == ["failed"]


def test_who_does_not_tell_writes_nothing(tmp_path):
    recorder = Recorder()
    recorder.is_teller = False
    drive(Plan(epochs=1), DIGITS, recorder, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("strategy", ["model", "ddp", "shared", "ps", "pipeline"])
def test_a_run_that_goes_on_ends_as_the_unbroken_one(strategy, tmp_path, group2, group3):
    group = {2: group2, 3: group3}[WORLDS[strategy]]
    states = tmp_path / "states"
    plan = small(strategy, task="table", epochs=6, batch_size=160, checkpoint_dir=str(states))
    _, end, wanted = run(plan, tmp_path / "unbroken", group)
    steps = {folder.name for folder in states.iterdir()}
    assert {"step-000000008", "step-000000012"} <= steps  # some workers still keep the one before
    shutil.rmtree(states / "step-000000012")  # as if all had been killed in step 9
    _, rest, values = run(replace(plan, resume=True), tmp_path / "rest", group)
    assert all(np.array_equal(a, b) for a, b in zip(values, wanted, strict=True))
    assert rest["losses"] == end["losses"][8:]
    assert rest["steps"] == 12


def test_hogwild_goes_on_from_what_it_saved(tmp_path, group2):
    plan = small("hogwild", checkpoint_dir=str(tmp_path / "states"))
    _, _, wanted = run(plan, tmp_path / "unbroken", group2)
    files = sorted((tmp_path / "states").glob("*/*"))
    states = [load_file(file) for file in files[-2:]]
    for values in states:  # all workers saved the same, though they do not wait for each other
        arrays = values["parts"]["system"]["model"].values()
        assert all(np.array_equal(a.numpy(), b) for a, b in zip(arrays, wanted, strict=True))
    longer = replace(plan, resume=True, epochs=3)
    _, rest, _ = run(longer, tmp_path / "rest", group2)
    assert (rest["steps"], len(rest["losses"])) == (9, 3)


def test_seeds_of_the_workers_are_in_the_checkpoint(tmp_path, group2):
    plan = small("ddp", workers=2, checkpoint_dir=str(tmp_path / "states"))
    run(plan, tmp_path / "run", group2)
    files = sorted((tmp_path / "states").glob("step-000000012/*"))
    assert [load_file(file)["rank"] for file in files] == [0, 1]
    seeds = [load_file(file)["rng"]["seed"] for file in files]
    assert seeds[0] != seeds[1]
