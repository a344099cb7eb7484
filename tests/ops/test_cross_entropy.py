import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError
from tests.arrays import SEEDS, values

TARGET = nb.tensor([2, 0, -100, 1])
WEIGHT = nb.tensor(np.array([0.5, 1.0, 2.0]))


def log_softmax(x):
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def reference(x, target, weight, reduction, smoothing=0.0):
    logp, used = log_softmax(x), target != -100
    safe = np.where(used, target, 0)
    share = weight[safe] * used
    hard = -logp[np.arange(len(x)), safe] * share
    soft = -(logp * weight).sum(1) * used / x.shape[1]
    if reduction == "mean":
        hard, soft = hard.sum() / share.sum(), soft.sum() / share.sum()
    elif reduction == "sum":
        hard, soft = hard.sum(), soft.sum()
    return (1 - smoothing) * hard + smoothing * soft


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@given(seed=SEEDS)
def test_class_indices(reduction, weight, smoothing, seed):
    x = values((4, 3), seed)
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    y = F.cross_entropy(nb.Tensor(x), TARGET, **options)
    plain = np.ones(3) if weight is None else weight.array
    np.testing.assert_allclose(y.array, reference(x, TARGET.array, plain, reduction, smoothing))
    assert check_vjp(lambda a: F.cross_entropy(a, TARGET, **options), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_probabilities_as_target(reduction):
    x, t = values((4, 3), 0), np.abs(values((4, 3), 1))
    y = F.cross_entropy(nb.Tensor(x), nb.Tensor(t), reduction=reduction)
    losses = -(t * log_softmax(x)).sum(1)
    expected = {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]
    np.testing.assert_allclose(y.array, expected)
    assert check_vjp(lambda a, b: F.cross_entropy(a, b, reduction=reduction), x, t)


def test_images_of_classes():
    x, t = values((2, 3, 4, 5), 0), nb.tensor(np.random.default_rng(0).integers(0, 3, (2, 4, 5)))
    y = F.cross_entropy(nb.Tensor(x), t, reduction="none")
    assert y.shape == (2, 4, 5)
    rows = np.moveaxis(x, 1, -1).reshape(-1, 3)
    np.testing.assert_allclose(
        y.array.ravel(), reference(rows, t.array.ravel(), np.ones(3), "none")
    )
    assert check_vjp(lambda a: F.cross_entropy(a, t), x)
    assert check_vjp(lambda a: F.nll_loss(a, t), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_nll_loss(reduction, weight):
    x = values((4, 3), 0)
    y = F.nll_loss(nb.log_softmax(nb.Tensor(x), 1), TARGET, weight, reduction=reduction)
    np.testing.assert_allclose(
        y.array, F.cross_entropy(nb.Tensor(x), TARGET, weight, reduction=reduction).array
    )
    assert check_vjp(lambda a: F.nll_loss(a, TARGET, weight, reduction=reduction), x)


def test_one_sample_and_large_scores():
    x = nb.tensor([1e4, 0.0], requires_grad=True)
    loss = F.cross_entropy(x, nb.tensor(1))
    assert loss.item() == 1e4
    loss.backward()
    assert x.grad.tolist() == [1, -1]


def test_float32_and_int32_targets():
    x = values((4, 3), 0)
    y = F.cross_entropy(nb.Tensor(x.astype(np.float32)), nb.tensor([0, 1, 2, 0], dtype=nb.int32))
    assert y.dtype == np.float32
    assert y.item() == pytest.approx(F.cross_entropy(nb.Tensor(x), nb.tensor([0, 1, 2, 0])).item())


def test_all_ignored_is_nan_without_gradient():
    x = nb.ones(2, 3, requires_grad=True)
    loss = F.cross_entropy(x, nb.tensor([-100, -100]))
    assert nb.isnan(loss)
    loss.backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_mistakes():
    x = nb.ones(2, 3)
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        F.cross_entropy(x, nb.tensor([0, 3]))
    with pytest.raises(ShapeError, match="to match target batch_size"):
        F.cross_entropy(x, nb.tensor([0]))
    with pytest.raises(ValueError, match="reduction"):
        F.cross_entropy(x, nb.tensor([0, 1]), reduction="average")
    with pytest.raises(ShapeError, match="shape of the scores"):
        F.cross_entropy(x, nb.ones(2))


def test_large_scores_lose_no_digits():
    x = np.random.default_rng(0).standard_normal((5, 7))
    labels = nb.tensor([0, 1, 2, 3, 4])
    grads = []
    for shift in (0.0, 1024.0):
        scores = nb.tensor(np.float32(np.round(x * 256) / 256 + shift), requires_grad=True)
        nb.nn.functional.cross_entropy(scores, labels).backward()
        grads.append(scores.grad.numpy())
    np.testing.assert_allclose(grads[0], grads[1], rtol=2e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_retained_graph_gives_each_pass_a_gradient_of_its_own(reduction):
    x = nb.tensor(values((4, 3), 0), requires_grad=True)
    y = F.cross_entropy(x, TARGET, reduction=reduction)
    g = nb.tensor(np.array([2.0, 3.0, 5.0, -1.0])) if reduction == "none" else nb.tensor(2.0)
    passes = [nb.autograd.grad(y, x, k * g, retain_graph=True)[0] for k in (0.5, 1.0, 3.0)]
    first = passes[0].array.copy()
    np.testing.assert_allclose(passes[1].array, 2 * first)
    np.testing.assert_allclose(passes[2].array, 6 * first)
    passes[1].mul_(0)  # the gradients share no memory
    assert passes[0].array.tolist() == first.tolist()


def test_gradients_of_float32_are_as_near_as_those_of_float64():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((64, 1000)) * 8, rng.integers(0, 1000, 64)
    found = {}
    for dtype in (np.float32, np.float64):
        scores = nb.tensor(x.astype(np.float32).astype(dtype), requires_grad=True)
        F.cross_entropy(scores, nb.tensor(labels), reduction="sum").backward()
        found[dtype] = scores.grad.array
    np.testing.assert_allclose(found[np.float32], found[np.float64], rtol=2e-6, atol=2e-7)


def test_a_score_that_is_no_number_makes_loss_and_gradient_so():
    x = nb.tensor([[0.0, float("nan"), 1.0], [0.0, 1.0, 2.0]], requires_grad=True)
    losses = F.cross_entropy(x, nb.tensor([0, 1]), reduction="none")
    losses.sum().backward()
    assert np.isnan(losses.array).tolist() == [True, False]
    assert np.isnan(x.grad.array).all(1).tolist() == [True, False]
