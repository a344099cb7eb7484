"""Losses between predictions and targets of one shape."""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import fmath, maker
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.choose import clamp, where
from nbgrad.ops.cross_entropy import averaged, check_reduction
from nbgrad.ops.pointwise import log

exp_of = fmath.exp
sigmoid_of = fmath.sigmoid


def check_same(name: str, x: np.ndarray, y: np.ndarray) -> None:
    """Refuse operands of different shapes or dtypes: broadcasting in a loss is a mistake."""
    if x.shape != y.shape:
        raise ShapeError(
            f"{name}: input {x.shape} and target {y.shape} must have the same shape; broadcasting them would compare "
            f"elements that do not belong together. Use reshape or squeeze on one"
        )
    if x.dtype != y.dtype:
        raise DtypeError(
            f"{name}: input is {x.dtype} and target {y.dtype}; convert the target with .to(input.dtype)"
        )


def reduced(losses: np.ndarray, reduction: str) -> np.ndarray:
    """Losses by element, their sum or their mean."""
    if reduction == "none":
        return losses
    y = empty((), losses.dtype)
    losses.sum(out=y)
    if reduction == "mean":
        with np.errstate(invalid="ignore"):
            np.divide(y, losses.size, out=y)
    return y


def spread(g: np.ndarray, shape: tuple, reduction: str) -> np.ndarray:
    """The cotangent of each element's loss, contiguous."""
    if reduction == "none":
        return contiguous(g)
    size = int(np.prod(shape))
    share = empty(shape, g.dtype)
    share.fill(g / max(size, 1) if reduction == "mean" else g)
    return share


def spread_tensor(g: Any, shape: tuple, reduction: str) -> Any:
    """`spread` of a tensor."""
    if reduction == "none":
        return g
    if reduction == "mean":
        g = g / max(math.prod(shape), 1)
    return g.expand(shape)


@op(inputs=2)
def mse_loss(input, target, reduction="mean", needs=None):
    """Square of the difference.

    Parameters
    ----------
    input, target : Tensor
        Of one shape and dtype.
    reduction : {"mean", "sum", "none"}
        What to do with the squares.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.mse_loss(nb.tensor([1.0, 3.0]), nb.tensor([1.0, 1.0]))
    tensor(2.)
    """
    check_reduction(reduction)
    check_same("mse_loss", input, target)
    x, t = contiguous(input), contiguous(target)
    return reduced(_squares(x, t), reduction), (x, t, needs, reduction)


@mse_loss.vjp
def mse_loss(residuals, g):
    # x_bar = 2 g (x - t), t_bar = -x_bar
    x, t, needs, reduction = residuals
    flow = spread(g, x.shape, reduction)
    x_bar = _squares_vjp(flow, x, t) if needs[0] else None
    t_bar = _squares_vjp(flow, t, x) if needs[1] else None
    return x_bar, t_bar


@mse_loss.double("0 1")
def mse_loss(residuals, g):
    x, t, needs, reduction = residuals
    x_bar = spread_tensor(g, x.shape, reduction) * (x - t) * 2
    return x_bar, -x_bar if needs[1] else None


@op(inputs=2)
def l1_loss(input, target, reduction="mean", needs=None):
    """Absolute difference.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.l1_loss(nb.tensor([1.0, 3.0]), nb.tensor([1.0, 1.0]))
    tensor(1.)
    """
    check_reduction(reduction)
    check_same("l1_loss", input, target)
    away = np.subtract(input, target, out=empty(input.shape, input.dtype))
    return reduced(np.abs(away, out=empty_like(away)), reduction), (away, needs, reduction)


@l1_loss.vjp
def l1_loss(residuals, g):
    away, needs, reduction = residuals
    x_bar = np.sign(away, out=empty_like(away))
    np.multiply(x_bar, spread(g, away.shape, reduction), out=x_bar)
    return x_bar, np.negative(x_bar, out=empty_like(x_bar)) if needs[1] else None


@l1_loss.double()
def l1_loss(residuals, g):
    away, needs, reduction = residuals
    x_bar = spread_tensor(g, away.shape, reduction) * Tensor(np.asarray(np.sign(away)))
    return x_bar, -x_bar if needs[1] else None


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Half the squared difference up to `delta`, then a line of slope `delta`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.huber_loss(nb.tensor([0.0, 3.0]), nb.tensor([1.0, 1.0]))
    tensor(1.)
    """
    check_reduction(reduction)
    check_same("huber_loss", input.array, target.array)
    away = abs(input - target)
    losses = where(away.detach() <= delta, away * away * 0.5, (away - 0.5 * delta) * delta)
    return averaged(losses, losses.numel(), reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Half the squared difference over `beta` up to `beta`, then the absolute difference less beta / 2.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.smooth_l1_loss(nb.tensor([0.0, 3.0]), nb.tensor([1.0, 1.0]))
    tensor(1.)
    """
    check_reduction(reduction)
    check_same("smooth_l1_loss", input.array, target.array)
    away = abs(input - target)
    if beta == 0:
        return averaged(away, away.numel(), reduction)
    losses = where(away.detach() < beta, away * away * (0.5 / beta), away - 0.5 * beta)
    return averaged(losses, losses.numel(), reduction)


@op(inputs=2)
def stable_bce(input, target, needs):
    """max(x, 0) - x t + log(1 + e^-|x|), element by element."""
    check_same("binary_cross_entropy_with_logits", input, target)
    x, t = contiguous(input), contiguous(target)
    return _bce(x, t), (x, t, needs)


@stable_bce.vjp
def stable_bce(residuals, g):
    # x_bar = g (sigmoid(x) - t), t_bar = -g x
    x, t, needs = residuals
    x_bar = _bce_vjp(contiguous(g), x, t)
    return x_bar, -(g * x) if needs[1] else None


@stable_bce.double("0 1")
def stable_bce(residuals, g):
    x, t, needs = residuals
    return g * (x.sigmoid() - t), -(g * x) if needs[1] else None


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """Cross-entropy of yes-no scores and probabilities; safe for large scores.

    Parameters
    ----------
    input : Tensor
        Scores (logits) in nats.
    target : Tensor
        Probabilities of yes, of the same shape and dtype.
    weight : Tensor, optional
        Weight of each loss.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.
    pos_weight : Tensor, optional
        Weight of the yes part.

    Returns
    -------
    Tensor
        Nats.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.binary_cross_entropy_with_logits(nb.tensor([0.0]), nb.tensor([1.0]))
    tensor(0.6931)
    """
    check_reduction(reduction)
    losses = stable_bce(input, target)
    if pos_weight is not None:
        # loss = pos t softplus(-x) + (1 - t) softplus(x), and stable_bce(x, 1) is softplus(-x)
        ones = input.detach() * 0.0 + 1.0
        losses = losses + (pos_weight - 1.0) * target * stable_bce(input, ones)
    if weight is not None:
        losses = losses * weight
    return averaged(losses, losses.numel(), reduction)


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """Cross-entropy of probabilities; logarithms are cut at -100.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.binary_cross_entropy(nb.tensor([0.5]), nb.tensor([1.0]))
    tensor(0.6931)
    """
    check_reduction(reduction)
    check_same("binary_cross_entropy", input.array, target.array)
    losses = -(
        target * clamp(log(input), -100.0) + (1.0 - target) * clamp(log(1.0 - input), -100.0)
    )
    if weight is not None:
        losses = losses * weight
    return averaged(losses, losses.numel(), reduction)


@maker("aa>a")
def _squares(x, t, losses):
    for i in range(x.size):
        losses[i] = (x[i] - t[i]) * (x[i] - t[i])


@maker("aaa>a")
def _squares_vjp(g, x, t, x_bar):
    for i in range(g.size):
        d = x[i] - t[i]
        x_bar[i] = g[i] * (d + d)


@maker("aa>a")
def _bce(x, t, losses):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.size):
        v = x[i]
        away = v if v > zero else -v
        losses[i] = (v if v > zero else zero) - v * t[i] + np.log1p(exp_of(-away, x) * one)


@maker("aaa>a")
def _bce_vjp(g, x, t, x_bar):
    for i in range(g.size):
        x_bar[i] = g[i] * (sigmoid_of(x[i], x) - t[i])
