import math

import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError
from tests.arrays import arrays


@given(x=arrays((2, 3)), t=arrays((2, 3), low=0.1, high=0.9))
def test_kl_div(x, t):
    losses = t * (np.log(t) - x)
    a, b = nb.Tensor(x), nb.Tensor(t)
    np.testing.assert_allclose(F.kl_div(a, b, reduction="none").array, losses)
    np.testing.assert_allclose(F.kl_div(a, b, reduction="batchmean").item(), losses.sum() / 2)
    np.testing.assert_allclose(F.kl_div(a, b.log(), log_target=True).item(), losses.mean())


def test_targets_of_zero_have_no_loss():
    assert F.kl_div(nb.zeros(2), nb.tensor([0.0, 1.0]), reduction="sum").item() == 0


@given(x=arrays((2, 3)), t=arrays((2, 3), low=2, high=9))
def test_poisson(x, t):
    a, b = nb.Tensor(x), nb.Tensor(t)
    np.testing.assert_allclose(F.poisson_nll_loss(a, b, reduction="none").array, np.exp(x) - t * x)
    np.testing.assert_allclose(
        F.poisson_nll_loss(b, b, False).item(), (t - t * np.log(t + 1e-8)).mean()
    )
    more = t * np.log(t) - t + np.log(2 * math.pi * t) / 2
    np.testing.assert_allclose(
        F.poisson_nll_loss(a, b, full=True, reduction="sum").item(),
        (np.exp(x) - t * x + more).sum(),
    )


@given(x=arrays((2, 3)), t=arrays((2, 3)), v=arrays((2, 3), low=0.5, high=2))
def test_gaussian(x, t, v):
    a, b, c = nb.Tensor(x), nb.Tensor(t), nb.Tensor(v)
    losses = 0.5 * (np.log(v) + (x - t) ** 2 / v)
    np.testing.assert_allclose(F.gaussian_nll_loss(a, b, c, reduction="none").array, losses)
    full = F.gaussian_nll_loss(a, b, c[:, :1], full=True).item()
    rows = 0.5 * (np.log(v[:, :1]) + (x - t) ** 2 / v[:, :1]) + 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(full, rows.mean())
    assert F.gaussian_nll_loss(a, b, c[:, 0], full=True).item() == full


def test_the_least_variance():
    v = nb.tensor([0.0], requires_grad=True)
    loss = F.gaussian_nll_loss(nb.ones(1), nb.ones(1), v, eps=0.5)
    assert loss.item() == pytest.approx(0.5 * math.log(0.5))
    loss.backward()
    assert v.grad.item() == pytest.approx(1.0)
    assert F.gaussian_nll_loss(nb.ones(1), nb.zeros(1), 1.0).item() == 0.5


def test_mistakes():
    x = nb.ones(2, 3)
    with pytest.raises(ShapeError, match="incorrect size"):
        F.gaussian_nll_loss(x, x, nb.ones(3))
    with pytest.raises(ValueError, match="negative entry"):
        F.gaussian_nll_loss(x, x, -x)
    with pytest.raises(ValueError, match="reduction"):
        F.kl_div(x, x, reduction="all")
