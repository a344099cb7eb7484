import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare, downhill


def reference(
    p,
    grads,
    lr=2e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
    maximize=False,
):
    m = v = 0.0
    product = 1.0
    for t, g in enumerate(grads, 1):
        if decoupled_weight_decay:
            p = p * (1 - lr * weight_decay)
        d = downhill(g, p, maximize, 0.0 if decoupled_weight_decay else weight_decay)
        mu = betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        ahead = betas[0] * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product *= mu
        m = betas[0] * m + (1 - betas[0]) * d
        v = betas[1] * v + (1 - betas[1]) * d * d
        denominator = np.sqrt(v / (1 - betas[1] ** t)) + eps
        p = p - lr * (1 - mu) / (1 - product) * d / denominator
        p = p - lr * ahead / (1 - product * ahead) * m / denominator
    return p


OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.3},
    {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_as_the_formulas(options):
    compare(optim.NAdam, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="momentum_decay value: -1"):
        optim.NAdam([nb.zeros(1, requires_grad=True)], momentum_decay=-1.0)
