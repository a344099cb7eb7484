"""Cross-entropy of class scores: log_softmax and the choice of the target's row in one pass."""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.jit import fmath, kernel
from nbgrad.jit.primitive import fmax
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.pointwise import floats
from nbgrad.ops.softmax import log_softmax, softmax

exp_of = fmath.exp_below


def check_reduction(reduction: str) -> None:
    """Refuse unknown reductions."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f'{reduction} is not a valid value for reduction: it is "mean", "sum" or "none"'
        )


def classes_last(x: np.ndarray) -> np.ndarray:
    """Scores (batch, classes, ...) as rows of classes, contiguous."""
    if x.ndim == 1:
        return x.reshape(1, -1)
    return contiguous(np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def classes_second(rows: np.ndarray, shape: tuple) -> np.ndarray:
    """The inverse of `classes_last`."""
    if len(shape) <= 2:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def classes_second_tensor(rows: Any, shape: tuple) -> Any:
    """`classes_second` of a tensor."""
    if len(shape) <= 2:
        return rows.reshape(shape)
    order = (0, len(shape) - 1, *range(1, len(shape) - 1))
    return rows.reshape(shape[0], *shape[2:], shape[1]).permute(order)


def check_target(
    name: str, scores: np.ndarray, target: np.ndarray, ignore_index: int
) -> np.ndarray:
    """The target as contiguous int64.

    Raises
    ------
    ShapeError
        If it has not one class per row of scores.
    IndexError
        If a class does not exist.
    """
    expected = (*scores.shape[:1], *scores.shape[2:]) if scores.ndim > 1 else ()
    if target.shape != expected:
        raise ShapeError(
            f"{name}: Expected input batch_size ({scores.shape[:1]}) to match target batch_size ({target.shape[:1]}): "
            f"scores {scores.shape} need one class index each, a target of shape {expected}, got {target.shape}"
        )
    classes = scores.shape[1] if scores.ndim > 1 else scores.shape[0]
    labels = contiguous(target.astype(np.int64, copy=False))
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if wrong.any():
        raise IndexError(
            f"{name}: Target {int(labels[wrong].flat[0])} is out of bounds: classes are numbered 0 to {classes - 1}"
        )
    return labels


# Note [The gradient comes with the loss]
# ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
# Exponentials are what cross-entropy costs.  Where a gradient is wanted the forward keeps them: it writes the gradient for a
# cotangent of 1, and the backward pass, whose cotangent is 1 nearly always, hands that array over.  So the saved array is
# the gradient's own memory, taken earlier.
# G1 (taken once)  The array leaves the residuals when it is handed over (`list.pop` is atomic): who gets it owns it, and may
#                  scale it in place.  A second pass over a retained graph finds none and computes another.


@op
def fused_cross_entropy(input, target, ignore_index, reduction, needs):
    """Cross-entropy of scores and class indices, without weights or smoothing."""
    labels = check_target("cross_entropy", input, target, ignore_index)
    rows = classes_last(floats(input))
    losses, bars = empty(rows.shape[:1], rows.dtype), []
    if needs[0]:
        n_used, x_bar = with_gradient(rows, labels, losses, ignore_index, reduction)
        bars.append(x_bar)
    else:
        n_used = _cross_entropy(rows, labels, losses, *rows.shape, ignore_index)
    residuals = (rows, bars, labels, input.shape, ignore_index, reduction, n_used)
    if reduction == "none":
        return losses.reshape(labels.shape), residuals
    y = empty((), rows.dtype)
    np.add.reduce(losses, 0, None, y)
    if reduction == "mean":
        with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
            np.divide(y, n_used, out=y)
    return y, residuals


@fused_cross_entropy.vjp
def fused_cross_entropy(residuals, g):
    # x_bar = g (p - one_hot(target)), row by row
    rows, bars, labels, shape, ignore_index, reduction, _ = residuals
    try:
        x_bar = bars.pop()
    except IndexError:  # a second pass over a retained graph
        losses = empty(rows.shape[:1], rows.dtype)
        _, x_bar = with_gradient(rows, labels, losses, ignore_index, reduction)
    if reduction == "none" or g.item() != 1.0:
        np.multiply(x_bar, g.reshape(-1, 1), out=x_bar)
    return (classes_second(x_bar, shape),)


def with_gradient(rows, labels, losses, ignore_index, reduction):
    """Fill the losses; (how many rows count, the gradient of the scores for a cotangent of 1)."""
    x_bar = empty_like(rows)
    mean = int(reduction == "mean")
    n_used = _cross_entropy_bar(rows, labels, losses, x_bar, *rows.shape, ignore_index, mean)
    return n_used, x_bar


@fused_cross_entropy.double("0")
def fused_cross_entropy(residuals, g):
    rows, _, labels, shape, ignore_index, reduction, n_used = residuals
    scores = as_rows(rows, shape)
    labels = labels.reshape(-1)
    used = labels != ignore_index
    one_hot = np.zeros(rows.shape, rows.dtype)
    one_hot[np.flatnonzero(used), labels[used]] = 1
    scale = g.reshape(-1, 1) * Tensor(used.astype(rows.dtype).reshape(-1, 1))
    if reduction == "mean" and n_used:
        scale = scale / n_used
    return (classes_second_tensor(scale * (softmax(scores, 1) - Tensor(one_hot)), shape),)


@op
def as_rows(rows, shape):
    """The scores as they were saved: `rows` stands in the graph where the scores do, but has their classes last."""
    return rows, (shape,)


@as_rows.vjp
def as_rows(residuals, g):
    return (classes_second(g, residuals[0]),)


@as_rows.double()
def as_rows(residuals, g):
    return (classes_second_tensor(g, residuals[0]),)


@op
def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Minus the log-probability of the target's class.

    Parameters
    ----------
    input : Tensor, shape (batch, classes, ...)
        Log-probabilities.
    target : Tensor of int64, shape (batch, ...)
        Class indices.
    weight : Tensor, shape (classes,), optional
        Weight of each class; "mean" divides by the sum of the weights.
    ignore_index : int
        A class that does not count.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.

    Returns
    -------
    Tensor
        Nats.

    Examples
    --------
    >>> import nbgrad as nb
    >>> logp = nb.log_softmax(nb.tensor([[0.0, 0.0]]), dim=1)
    >>> nb.nn.functional.nll_loss(logp, nb.tensor([1]))
    tensor(0.6931)
    """
    check_reduction(reduction)
    labels = check_target("nll_loss", input, target, ignore_index).reshape(-1)
    rows = classes_last(input)
    used = labels != ignore_index
    safe = np.where(used, labels, 0)
    shares = used.astype(rows.dtype)
    if weight is not None:
        shares = shares * weight[safe]
    losses = -rows[np.arange(len(rows)), safe] * shares
    total = shares.sum()
    residuals = (safe, shares, total, input.shape, input.dtype, reduction)
    if reduction == "none":
        return losses.reshape(target.shape), residuals
    with np.errstate(invalid="ignore"):
        y = losses.sum() if reduction == "sum" else losses.sum() / total
    return np.asarray(y, rows.dtype), residuals


@nll_loss.vjp
def nll_loss(residuals, g):
    safe, shares, total, shape, dtype, reduction = residuals
    classes = shape[1] if len(shape) > 1 else shape[0]
    rows = empty((len(safe), classes), dtype)
    rows.fill(0)
    flow = -g.reshape(-1) * shares
    rows[np.arange(len(safe)), safe] = flow / total if reduction == "mean" and total else flow
    return (classes_second(rows, shape),)


@nll_loss.double()
def nll_loss(residuals, g):
    safe, shares, total, shape, dtype, reduction = residuals
    classes = shape[1] if len(shape) > 1 else shape[0]
    shares = shares / total if reduction == "mean" and total else shares
    weights = np.zeros((len(safe), classes), dtype)
    weights[np.arange(len(safe)), safe] = -shares
    return (classes_second_tensor(g.reshape(-1, 1) * Tensor(weights), shape),)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross-entropy between class scores and targets.

    Parameters
    ----------
    input : Tensor, shape (batch, classes, ...) or (classes,)
        Scores (logits) in nats, not normalized.
    target : Tensor
        Class indices (int64, shape (batch, ...)), or probabilities of the shape of `input`.
    weight : Tensor, shape (classes,), optional
        Weight of each class.
    ignore_index : int
        A class index that does not count.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.
    label_smoothing : float
        Part of the probability that is given to all classes alike.

    Returns
    -------
    Tensor
        Nats.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    IndexError
        If a class does not exist.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.cross_entropy(nb.tensor([[0.0, 0.0]]), nb.tensor([1]))
    tensor(0.6931)
    """
    check_reduction(reduction)
    if not isinstance(target, Tensor):
        target = Tensor(np.asarray(target))
    probabilities = target.array.dtype.kind == "f"
    if not probabilities and weight is None and label_smoothing == 0.0:
        return fused_cross_entropy(input, target, ignore_index, reduction)
    axis = 1 if input.ndim > 1 else 0
    logp = log_softmax(input, axis)
    classes = input.shape[axis]
    if probabilities:
        if target.shape != input.shape:
            raise ShapeError(
                f"cross_entropy: a target of probabilities has the shape of the scores {tuple(input.shape)}, not "
                f"{tuple(target.shape)}"
            )
        wanted = target * (1.0 - label_smoothing) + label_smoothing / classes
        losses = -(wanted * per_class(weight, logp, axis) * logp).sum(axis)
        return averaged(losses, losses.numel(), reduction)
    hard = nll_loss(logp, target, weight, ignore_index, reduction)
    if label_smoothing == 0.0:
        return hard
    used = Tensor((target.array != ignore_index).astype(input.dtype))
    shares = used
    if weight is not None:
        shares = Tensor(used.array * weight.array[np.where(used.array > 0, target.array, 0)])
    smooth = -(per_class(weight, logp, axis) * logp).sum(axis) * used / float(classes)
    soft = averaged(smooth, float(shares.array.sum()), reduction)
    return hard * (1.0 - label_smoothing) + soft * label_smoothing


def per_class(weight: Any, logp: Any, axis: int) -> Any:
    """Class weights in a shape that broadcasts along the class dimension; 1.0 without weights."""
    if weight is None:
        return 1.0
    shape = [1] * logp.ndim
    shape[axis] = -1
    return weight.reshape(shape)


def averaged(losses: Any, n: float, reduction: str) -> Any:
    if reduction == "none":
        return losses
    return losses.sum() / float(n) if reduction == "mean" else losses.sum()


@kernel("ak>Annn=n")
def _cross_entropy(x, target, losses, rows, columns, ignored):
    zero = x.dtype.type(0)
    n_used = 0
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        top = a[0]
        for c in range(columns):
            top = fmax(top, a[c])
        total = zero
        for c in range(columns):
            total += exp_of(a[c] - top, x)
        if target[r] == ignored:
            losses[r] = zero
        else:
            losses[r] = x.dtype.type(math.log(total)) - (a[target[r]] - top)
            n_used += 1
    return n_used


@kernel("ak>A>annnn=n")
def _cross_entropy_bar(x, target, losses, x_bar, rows, columns, ignored, mean):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    n_used = 0
    for r in range(rows):
        if target[r] != ignored:
            n_used += 1
    share = one / x.dtype.type(n_used) if mean and n_used else one
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        b = x_bar[r * columns : (r + 1) * columns]
        if target[r] == ignored:
            losses[r] = zero
            for c in range(columns):
                b[c] = zero
            continue
        top = a[0]
        for c in range(columns):
            top = fmax(top, a[c])
        total = zero
        for c in range(columns):
            e = exp_of(a[c] - top, x)
            b[c] = e
            total += e
        losses[r] = x.dtype.type(math.log(total)) - (a[target[r]] - top)
        scale = share / total
        for c in range(columns):
            b[c] *= scale
        b[target[r]] -= share
    return n_used
