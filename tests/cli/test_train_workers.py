"""The run across processes: the same, bit for bit, as in one process, however the model is cut."""

import numpy as np
import pytest

from nbgrad import multiprocessing
from nbgrad.cli import train_alone, train_workers
from nbgrad.cli.journal import Tail
from nbgrad.cli.train_plan import Plan


def run(work, plan, n_processes, folder):
    """(losses, other figures, parameters) of a run in worker processes."""
    folder.mkdir()
    multiprocessing.spawn(work, args=(plan, str(folder)), nprocs=n_processes)
    *_, end = Tail(folder / "journal").read()
    assert end.pop("kind") == "end"
    with np.load(folder / "values.npz") as file:
        return end.pop("losses"), end, [file[name] for name in file.files]


@pytest.mark.parametrize(
    "plan",
    [
        Plan("mlp", workers=2, epochs=4, seed=1),
        Plan("mlp", workers=3, epochs=1, batch_size=100),
        Plan("cnn", workers=4, epochs=1),
    ],
    ids=lambda plan: f"{plan.model}, {plan.workers} workers",
)
def test_equals_the_run_in_one_process(plan, tmp_path, nothing_left):
    losses, figures, values = run(train_workers.work, plan, plan.workers, tmp_path / "across")
    other, _, other_values = run(train_alone.work, plan, 1, tmp_path / "alone")
    assert losses == other
    assert all(np.array_equal(a, b) for a, b in zip(values, other_values, strict=True))
    assert figures["hops"] == len(losses) * (plan.workers - 1)
    assert 0 < figures["hop_us_median"] < 1e6
    assert figures["messages"] > 4 * len(losses)


def test_activations_of_full_batches_are_not_copied(tmp_path, nothing_left):
    plan = Plan("mlp", epochs=1, batch_size=64)
    losses, figures, _ = run(train_workers.work, plan, 2, tmp_path / "across")
    full = (len(losses) - 1) * 2 * 64 * 256 * 4  # 64 KiB there, and its gradient back
    assert figures["bytes_zero_copy"] >= full
    assert figures["bytes_copied"] < 0.2 * full
