"""The models: the same parameters and the same logits however they are cut into stages."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.cli.train_stages import MODELS, Stage
from nbgrad.data import digits


def through(stages, x):
    for stage in stages:
        x = stage(x)
    return x.detach().numpy()


@pytest.mark.parametrize("model", MODELS)
def test_cut_does_not_change_the_model(model):
    x = nb.from_numpy(digits().test_x[:16])
    whole, *cuts = ([Stage(model, k, n, seed=5) for k in range(n)] for n in (1, 2, 3, 4))
    wanted = through(whole, x)
    assert wanted.shape == (16, 10)
    for stages in cuts:
        assert all(stage.values() for stage in stages)  # each worker has something to train
        assert np.array_equal(through(stages, x), wanted)


@pytest.mark.parametrize("model", MODELS)
def test_seed_decides_the_parameters(model):
    first, again, other = (Stage(model, 0, 2, seed).values() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_values_are_copies():
    stage = Stage("mlp", 1, 2, seed=0)
    stage.values()[0][:] = 0
    assert stage.values()[0].any()
