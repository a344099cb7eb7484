import numpy as np
import pytest

import nbgrad as nb
from nbgrad import optim
from nbgrad.optim.moments import Moments

FAMILY = [optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam, optim.RAdam]


@pytest.mark.parametrize("kind", [*FAMILY, optim.SparseAdam])
def test_options_out_of_range_are_refused(kind):
    w = nb.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="Invalid beta parameter at index 1: 1.0"):
        kind([w], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="Invalid epsilon value: -1"):
        kind([w], eps=-1)


@pytest.mark.parametrize("kind", FAMILY)
def test_state_begins_at_zero_and_steps_are_counted(kind):
    w = nb.ones(2, requires_grad=True)
    optimizer = kind([w])
    assert isinstance(optimizer, Moments)
    for step in (1, 2):
        optimizer.step_with([np.zeros(2, np.float32)])
        assert optimizer.state[w]["step"] == step
    for name in kind.means:
        # Adamax keeps eps, so that it never divides by zero
        np.testing.assert_allclose(optimizer.state[w][name].numpy(), 0.0, atol=2e-8)


def test_decays():
    w = nb.ones(1, requires_grad=True)
    optimizer = optim.Adam([w], lr=0.5, weight_decay=0.1)
    (group,) = optimizer.param_groups
    assert optimizer.decays(group) == (0.1, 1.0)
    assert optimizer.decays(group, decoupled=True) == (0.0, 0.95)
    assert optimizer.sign(group) == 1.0
