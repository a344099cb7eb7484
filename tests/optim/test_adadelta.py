import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare, downhill


def reference(p, grads, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False):
    v = steps = 0.0
    for g in grads:
        d = downhill(g, p, maximize, weight_decay)
        v = rho * v + (1 - rho) * d * d
        step = np.sqrt(steps + eps) / np.sqrt(v + eps) * d
        steps = rho * steps + (1 - rho) * step * step
        p = p - lr * step
    return p


@pytest.mark.parametrize(
    "options",
    [{}, {"rho": 0.5, "eps": 0.1}, {"weight_decay": 0.1, "maximize": True, "lr": 0.5}],
    ids=str,
)
def test_as_the_formulas(options):
    compare(optim.Adadelta, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="Invalid rho value: 2"):
        optim.Adadelta([nb.zeros(1, requires_grad=True)], rho=2.0)
