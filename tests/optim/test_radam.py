import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare, downhill


def reference(
    p,
    grads,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled_weight_decay=False,
    maximize=False,
):
    m = v = 0.0
    most = 2 / (1 - betas[1]) - 1
    for t, g in enumerate(grads, 1):
        if decoupled_weight_decay:
            p = p * (1 - lr * weight_decay)
        d = downhill(g, p, maximize, 0.0 if decoupled_weight_decay else weight_decay)
        m = betas[0] * m + (1 - betas[0]) * d
        v = betas[1] * v + (1 - betas[1]) * d * d
        step = lr * m / (1 - betas[0] ** t)
        length = most - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        if length > 5:
            rectified = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
            step = step * np.sqrt(rectified * (1 - betas[1] ** t)) / (np.sqrt(v) + eps)
        p = p - step
    return p


OPTIONS = [
    {"lr": 0.1},  # both kinds of steps come in 8
    {"lr": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.9)},
    {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_as_the_formulas(options):
    compare(optim.RAdam, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="epsilon value: -1"):
        optim.RAdam([nb.zeros(1, requires_grad=True)], eps=-1.0)
