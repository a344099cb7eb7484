"""The batches of a plan: all from the seed, every sample once per epoch, in pieces that can be shared out."""

import numpy as np
import pytest

from nbgrad.cli.train_plan import Batches, Plan


class Numbers:
    """A task whose samples are their own numbers."""

    def __init__(self, n):
        self.n_samples = n

    def batch(self, rows, rng):
        return rows, rng.random(len(rows))


def batches(plan, n=1000):
    """All batches of two epochs."""
    made = Batches(plan, Numbers(n))
    return [part for epoch in range(2) for batch in made.in_epoch(epoch) for part in batch]


def test_same_seed_gives_the_same_batches_and_another_gives_others():
    first, again, other = (batches(Plan(seed=seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


def test_a_batch_is_the_same_whatever_came_before():
    made = Batches(Plan(seed=1), Numbers(1000))
    wanted = made.get(3, 5)
    made.get(0, 0)
    assert all(np.array_equal(a, b) for a, b in zip(made.get(3, 5), wanted, strict=True))


def test_each_epoch_holds_every_sample_once():
    made = Batches(Plan(batch_size=300), Numbers(1000))
    for epoch in range(2):
        rows = [x for x, _ in made.in_epoch(epoch)]
        assert [len(x) for x in rows] == [300, 300, 300, 100]
        assert sorted(np.concatenate(rows)) == list(range(1000))


@pytest.mark.parametrize(
    ("plan", "sizes"),
    [
        (Plan(strategy="model", batch_size=4), [4, 4, 2]),
        (Plan(strategy="ddp", workers=3, batch_size=4), [4, 4]),
        (Plan(strategy="pipeline", micro_batches=4, batch_size=5), []),  # 5 is cut into 2, 2, 1
        (Plan(strategy="pipeline", micro_batches=2, batch_size=5), [5, 5]),
        (Plan(strategy="hogwild", workers=3, batch_size=9), [9, 1]),
    ],
    ids=lambda value: value.strategy if isinstance(value, Plan) else "",
)
def test_batches_that_can_not_be_shared_out_are_left_away(plan, sizes):
    made = Batches(plan, Numbers(10))
    assert [len(x) for x, _ in made.in_epoch(0)] == sizes
    assert len(made) == len(sizes)


def test_what_makes_a_run_another():
    plan = Plan(seed=1, minutes=3.0)
    assert plan.identity() == Plan(seed=1, epochs=7, checkpoint_dir="a", resume=True).identity()
    assert plan.identity() != Plan(seed=2).identity()
    assert [Plan(strategy=name).is_synchronous for name in ("ddp", "ps")] == [True, False]
