import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from tests.optim.recipes import compare


def reference(p, grads, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), maximize=False):
    before, size = np.zeros_like(p), np.full_like(p, lr)
    for g in grads:
        d = -g if maximize else g.copy()
        turn = np.sign(d * before)
        size = np.clip(
            size * np.where(turn > 0, etas[1], np.where(turn < 0, etas[0], 1)), *step_sizes
        )
        d[turn < 0] = 0
        p = p - np.sign(d) * size
        before = d
    return p


@pytest.mark.parametrize(
    "options", [{}, {"etas": (0.3, 1.5), "step_sizes": (5e-3, 0.02), "maximize": True}], ids=str
)
def test_as_the_formulas(options):
    compare(optim.Rprop, options, reference)


def test_mistakes():
    with pytest.raises(ValueError, match="Invalid eta values: 2"):
        optim.Rprop([nb.zeros(1, requires_grad=True)], etas=(2.0, 3.0))
