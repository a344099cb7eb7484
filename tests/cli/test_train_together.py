"""Data parallel strategies: the parameters of one process, or its accuracy where workers don't wait for each other."""

import pytest

from nbgrad.cli.train_plan import Plan
from tests.cli.driven import alone, distance, run, small


@pytest.mark.parametrize("task", ["digits", "table"])
@pytest.mark.parametrize("strategy", ["ddp", "shared"])
def test_three_workers_train_as_one_process(strategy, task, tmp_path, group3):
    plan = small(strategy, task=task, lr=0.01)
    _, end, values = run(plan, tmp_path / "across", group3)
    _, other, wanted = alone(plan, tmp_path / "alone")
    assert end["losses"] == pytest.approx(other["losses"], rel=1e-5)
    assert distance(values, wanted) <= 3e-5
    assert end["placement"].count("|") == 2


def test_hogwild_takes_equally_many_batches_per_worker(tmp_path, group2):
    plan = Plan(strategy="hogwild", epochs=6, batch_size=50)
    lines, end, _ = run(plan, tmp_path / "across", group2)
    assert end["steps"] == len(end["losses"]) == 6 * 14  # of 29 batches each has 14
    epochs = [line["loss"] for line in lines if line["kind"] == "epoch"]
    assert epochs[-1] < 0.9 * epochs[0]
    assert end["mean_staleness"] >= 0.0
    assert end["test_accuracy"] > 0.3
