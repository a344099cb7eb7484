"""The models: the same parameters and the same outputs however they are cut into stages."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.cli.train_plan import Batches, Plan
from nbgrad.cli.train_stages import Stage, filled, whole
from nbgrad.cli.train_tasks import task_of

PLANS = [Plan(), Plan(model="cnn"), Plan(task="table"), Plan(task="chars")]
NAMES = ["mlp", "cnn", "table", "chars"]


def through(stages, x):
    for stage in stages:
        x = stage(x)
    return x.detach().numpy()


@pytest.mark.parametrize("plan", PLANS, ids=NAMES)
def test_cut_does_not_change_the_model(plan):
    task = task_of(plan)
    x = nb.from_numpy(Batches(plan, task).get(0, 0)[0][:8])
    all_of_it, *cuts = ([Stage(task, k, n, seed=5) for k in range(n)] for n in (1, 2, 3, 4))
    wanted = through(all_of_it, x)
    assert len(wanted) == 8
    for stages in cuts:
        assert all(stage.values() for stage in stages)  # each worker has something to train
        assert np.array_equal(through(stages, x), wanted)
        values = [value for stage in stages for value in stage.values()]
        assert np.array_equal(through([filled(task, 0, values)], x), wanted)


@pytest.mark.parametrize("plan", PLANS[:2], ids=NAMES[:2])
def test_seed_decides_the_parameters(plan):
    task = task_of(plan)
    first, again, other = (Stage(task, 0, 2, seed).values() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_values_are_copies():
    stage = Stage(task_of(Plan()), 1, 2, seed=0)
    stage.values()[0][:] = 0
    assert stage.values()[0].any()


def test_random_numbers_go_on_where_they_were():
    nb.manual_seed(11)
    wanted = nb.rand(3).tolist()
    nb.manual_seed(11)
    whole(task_of(Plan()), seed=4)
    assert nb.initial_seed() == 11
    assert nb.rand(3).tolist() == wanted
