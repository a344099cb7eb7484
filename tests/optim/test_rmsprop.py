import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare, downhill


def reference(
    p,
    grads,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
    maximize=False,
):
    v = mean = buffer = 0.0
    for g in grads:
        d = downhill(g, p, maximize, weight_decay)
        v = alpha * v + (1 - alpha) * d * d
        mean = alpha * mean + (1 - alpha) * d
        spread = v - mean * mean if centered else v
        buffer = momentum * buffer + d / (np.sqrt(spread) + eps)
        p = p - lr * buffer
    return p


OPTIONS = [
    {},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"centered": True, "alpha": 0.9},
    {"centered": True, "momentum": 0.5, "maximize": True, "eps": 1e-3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_as_the_formulas(options):
    compare(optim.RMSprop, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="Invalid momentum value: -1"):
        optim.RMSprop([nb.zeros(1, requires_grad=True)], momentum=-1.0)
