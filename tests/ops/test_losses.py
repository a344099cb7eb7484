import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import arrays

REDUCTIONS = ["mean", "sum", "none"]


def huber(x, t, delta=0.5):
    d = abs(x - t)
    return np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def smooth_l1(x, t, beta=0.5):
    d = abs(x - t)
    return np.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)


LOSSES = [
    (F.mse_loss, lambda x, t: (x - t) ** 2, {}),
    (F.l1_loss, lambda x, t: abs(x - t), {}),
    (F.huber_loss, huber, {"delta": 0.5}),
    (F.smooth_l1_loss, smooth_l1, {"beta": 0.5}),
    (F.smooth_l1_loss, lambda x, t: abs(x - t), {"beta": 0}),
]


def reduced(losses, reduction):
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[reduction]()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("loss", "reference", "options"), LOSSES)
@given(d=arrays((2, 3), gap=0.1), t=arrays((2, 3)))
def test_forward_and_vjp(loss, reference, options, reduction, d, t):
    d = d + 0.013  # away from delta and beta
    x = t + d
    y = loss(nb.Tensor(x), nb.Tensor(t), reduction=reduction, **options)
    np.testing.assert_allclose(y.array, reduced(reference(x, t), reduction), rtol=1e-9)
    assert check_vjp(lambda a, b: loss(a, b, reduction=reduction, **options), x, t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(x=arrays((2, 3)), t=arrays((2, 3), low=0.1, high=0.9))
def test_binary_cross_entropy(reduction, x, t):
    p = 1 / (1 + np.exp(-x))
    losses = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    y = F.binary_cross_entropy_with_logits(nb.Tensor(x), nb.Tensor(t), reduction=reduction)
    np.testing.assert_allclose(y.array, reduced(losses, reduction), rtol=1e-9)
    z = F.binary_cross_entropy(nb.Tensor(p), nb.Tensor(t), reduction=reduction)
    np.testing.assert_allclose(z.array, reduced(losses, reduction), rtol=1e-9)
    for loss, where in ((F.binary_cross_entropy_with_logits, x), (F.binary_cross_entropy, p)):
        assert check_vjp(lambda a, b, loss=loss: loss(a, b, reduction=reduction), where, t)


def test_weights_of_binary_cross_entropy():
    x, t = np.array([[0.3, -2.0]]), np.array([[1.0, 0.25]])
    w, pos = nb.tensor(np.array([2.0, 0.5])), nb.tensor(np.array([3.0, 4.0]))
    p = 1 / (1 + np.exp(-x))
    losses = -(pos.array * t * np.log(p) + (1 - t) * np.log(1 - p)) * w.array
    y = F.binary_cross_entropy_with_logits(
        nb.Tensor(x), nb.Tensor(t), w, pos_weight=pos, reduction="none"
    )
    np.testing.assert_allclose(y.array, losses)
    assert check_vjp(
        lambda a: F.binary_cross_entropy_with_logits(a, nb.Tensor(t), w, pos_weight=pos), x
    )


def test_large_scores_are_safe():
    x = nb.tensor([1e4, -1e4], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, nb.tensor([1.0, 0.0]))
    assert loss.item() == 0.0
    loss.backward()
    assert x.grad.tolist() == [0, 0]
    assert F.binary_cross_entropy(nb.tensor([0.0]), nb.tensor([1.0])).item() == 100.0


@pytest.mark.parametrize(
    "loss",
    [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy,
     F.binary_cross_entropy_with_logits],
)  # fmt: skip
def test_mistakes(loss):
    with pytest.raises(ShapeError, match="same shape"):
        loss(nb.ones(2, 1), nb.ones(2))
    with pytest.raises(DtypeError, match="convert the target"):
        loss(nb.ones(2), nb.ones(2, dtype=nb.float64))
    with pytest.raises(ValueError, match="reduction"):
        loss(nb.ones(2), nb.ones(2), reduction="all")
