"""The run across processes: the same, bit for bit, as in one process, however the model is cut."""

import numpy as np
import pytest

from nbgrad.cli.train_plan import Plan
from tests.cli.driven import alone, run
from tests.groups import fresh


@pytest.mark.parametrize(
    "plan",
    [
        Plan(model="mlp", workers=2, epochs=4, seed=1),
        Plan(model="mlp", workers=3, epochs=1, batch_size=100),
        Plan(model="cnn", workers=3, epochs=1),
        Plan(task="table", workers=3, epochs=2, lr=0.003),
    ],
    ids=lambda plan: f"{plan.task}, {plan.model}, {plan.workers} workers",
)
def test_equals_the_run_in_one_process(plan, tmp_path, group2, group3):
    group = {2: group2, 3: group3}[plan.workers]
    _, figures, values = run(plan, tmp_path / "across", group)
    _, other, wanted = alone(plan, tmp_path / "alone")
    losses = figures["losses"]
    assert losses == other["losses"]
    assert all(np.array_equal(a, b) for a, b in zip(values, wanted, strict=True))
    assert figures["hops"] == len(losses) * (plan.workers - 1)
    assert 0 < figures["hop_us_median"] < 1e6
    assert figures["messages"] > 4 * len(losses)


def test_activations_of_full_batches_are_not_copied(tmp_path):
    plan = Plan(epochs=1)
    with fresh(2) as group:  # its counts begin at 0
        _, figures, _ = run(plan, tmp_path / "across", group)
    full = (len(figures["losses"]) - 1) * 2 * 64 * 256 * 4  # 64 KiB there, and its gradient back
    assert figures["bytes_zero_copy"] >= full
    assert figures["bytes_copied"] < 0.2 * full
