import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare, downhill


def reference(p, grads, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
    m = top = 0.0
    for t, g in enumerate(grads, 1):
        d = downhill(g, p, maximize, weight_decay)
        m = betas[0] * m + (1 - betas[0]) * d
        top = np.maximum(betas[1] * top, np.abs(d) + eps)
        p = p - lr / (1 - betas[0] ** t) * m / top
    return p


@pytest.mark.parametrize(
    "options",
    [{}, {"betas": (0.5, 0.6), "lr": 0.1}, {"weight_decay": 0.1, "maximize": True, "lr": 0.1}],
    ids=str,
)
def test_as_the_formulas(options):
    compare(optim.Adamax, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="beta parameter at index 0"):
        optim.Adamax([nb.zeros(1, requires_grad=True)], betas=(1.0, 0.9))
