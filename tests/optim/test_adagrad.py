import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare, downhill


def reference(
    p,
    grads,
    lr=1e-2,
    lr_decay=0.0,
    weight_decay=0.0,
    initial_accumulator_value=0.0,
    eps=1e-10,
    maximize=False,
):
    total = initial_accumulator_value
    for t, g in enumerate(grads):
        d = downhill(g, p, maximize, weight_decay)
        total = total + d * d
        p = p - lr / (1 + t * lr_decay) * d / (np.sqrt(total) + eps)
    return p


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr_decay": 0.1, "weight_decay": 0.1, "maximize": True},
        {"initial_accumulator_value": 2.0, "eps": 0.1},
    ],
    ids=str,
)
def test_as_the_formulas(options):
    compare(optim.Adagrad, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="Invalid lr_decay value: -1"):
        optim.Adagrad([nb.zeros(1, requires_grad=True)], lr_decay=-1.0)
