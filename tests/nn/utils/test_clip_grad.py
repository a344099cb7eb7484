import math

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.errors import NonFiniteError


def parameters(*grads):
    made = []
    for grad in grads:
        p = nn.Parameter(nb.zeros(len(grad)))
        p.grad = nb.tensor(grad)
        made.append(p)
    return made


def test_the_common_norm_is_cut():
    ps = parameters([3.0, 0.0], [4.0])
    grad = ps[0].grad
    total = nn.utils.clip_grad_norm_(ps, 1.0)
    assert total.item() == 5.0
    assert ps[0].grad is grad
    np.testing.assert_allclose(grad.tolist(), [0.6, 0.0], rtol=1e-5)
    np.testing.assert_allclose(ps[1].grad.tolist(), [0.8], rtol=1e-5)


def test_small_ones_stay():
    ps = parameters([3.0, 4.0])
    nn.utils.clip_grad_norm_(iter(ps), 10.0)
    assert ps[0].grad.tolist() == [3, 4]


def test_other_norms():
    assert nn.utils.clip_grad_norm_(parameters([3.0, -4.0]), 100, math.inf).item() == 4
    assert nn.utils.clip_grad_norm_(parameters([3.0, -4.0]), 100, 1).item() == 7
    p = nn.Parameter(nb.zeros(1))
    assert nn.utils.clip_grad_norm_(p, 1.0).item() == 0


def test_non_finite():
    with pytest.raises(NonFiniteError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameters([math.nan]), 1.0, error_if_nonfinite=True)
    ps = parameters([math.nan, 1.0])
    assert math.isnan(nn.utils.clip_grad_norm_(ps, 1.0).item())


def test_values():
    ps = parameters([3.0, -4.0, 0.5])
    nn.utils.clip_grad_value_(ps, 1.0)
    assert ps[0].grad.tolist() == [1, -1, 0.5]
