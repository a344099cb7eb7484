"""batch_norm: each channel with mean 0 and variance 1 over the batch, then scaled and shifted; in its plain form."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, writable
from nbgrad.autograd.op import op
from nbgrad.autograd.outside import outside
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError

CHANNELS = 1  # the dimension that is kept


@op(inputs=3)
def normalized(input, weight, bias, mean, variance, eps, of_batch, needs=None):
    """(input - mean) / sqrt(variance + eps) * weight + bias, per channel.

    `mean` and `variance` are arrays of shape (channels,); `of_batch` says that they are those of `input`, so that
    gradients go through them.
    """
    form = (1, -1) + (1,) * (input.ndim - 2)
    rate = (1.0 / np.sqrt(variance.astype(np.float64) + eps)).astype(input.dtype).reshape(form)
    mean = mean.astype(input.dtype, copy=False).reshape(form)
    y = standardized(input, mean, rate)
    if weight is not None:
        np.multiply(y, weight.reshape(form), out=y)
    if bias is not None:
        np.add(y, bias.reshape(form), out=y)
    return y, (input, weight, mean, rate, eps, of_batch, needs)


@normalized.vjp
def normalized(residuals, g):
    # x_bar = rate * (s - mean(s) - x_hat mean(s x_hat)) with s = g * weight; the means only where they are the batch's
    x, weight, mean, rate, _, of_batch, needs = residuals
    x_hat = standardized(x, mean, rate)
    axes = axes_but_channels(g.ndim)
    g_sum = g.sum(axes) if of_batch or needs[2] else None
    g_x_sum = (g * x_hat).sum(axes) if of_batch or needs[1] else None
    x_bar = None
    if needs[0]:
        form = rate.shape
        scale = rate if weight is None else rate * weight.reshape(form)
        if of_batch:
            n = g.size // g.shape[CHANNELS]
            inner = np.multiply(
                x_hat, (g_x_sum / n).reshape(form), out=empty(g.shape, g.dtype), casting="same_kind"
            )
            np.add(inner, (g_sum / n).reshape(form), out=inner, casting="same_kind")
            np.subtract(g, inner, out=inner)
            x_bar = np.multiply(inner, scale, out=inner)
        else:
            x_bar = np.multiply(g, scale, out=empty(g.shape, g.dtype))
    return x_bar, g_x_sum if needs[1] else None, g_sum if needs[2] else None


@normalized.double("0 1")
def normalized(residuals, g):
    x, weight, mean, rate, eps, of_batch, needs = residuals
    axes, form = axes_but_channels(g.ndim), rate.shape
    if of_batch:
        mean = x.mean(axes, True)
        centered = x - mean
        rate = ((centered * centered).mean(axes, True) + eps) ** -0.5
        x_hat = centered * rate
    else:
        mean, rate = Tensor(mean), Tensor(rate)
        x_hat = (x - mean) * rate
    s = g if weight is None else g * weight.reshape(form)
    x_bar = s * rate
    if of_batch:
        x_bar = (s - s.mean(axes, True) - x_hat * (s * x_hat).mean(axes, True)) * rate
    w_bar = (g * x_hat).sum(axes) if needs[1] else None
    return x_bar, w_bar, g.sum(axes) if needs[2] else None


def standardized(x: np.ndarray, mean: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """(x - mean) * rate in a new array."""
    centered = np.subtract(x, mean, out=empty(x.shape, x.dtype))
    return np.multiply(centered, rate, out=centered)


def axes_but_channels(ndim: int) -> tuple:
    """The dimensions over which statistics are taken."""
    return (0, *range(2, ndim))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel, by the statistics of the batch in training and by the running ones else.

    Parameters
    ----------
    input : Tensor, shape (n, channels, ...)
        Values.
    running_mean, running_var : Tensor, shape (channels,), or None
        Averages over batches; updated in place in training, where they are given.
    weight, bias : Tensor, shape (channels,), or None
        Scale and shift.
    training : bool
        Use the statistics of this batch.
    momentum : float
        Share of this batch in the new running averages.
    eps : float
        Added to variances.

    Returns
    -------
    Tensor, shape of `input`

    Raises
    ------
    ShapeError
        If the input has fewer than 2 dimensions, or the others don't have one value per channel.
    ValueError
        In training with one value per channel, or else without running statistics.

    References
    ----------
    Ioffe and Szegedy 2015, Batch normalization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([[1.0], [3.0]])
    >>> nb.nn.functional.batch_norm(x, None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    check(input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    x = input.array
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "Expected running_mean and running_var to be defined when training=False: pass them, or training=True for "
                "the statistics of the batch"
            )
        return normalized(input, weight, bias, running_mean.array, running_var.array, eps, False)
    n = x.size // max(x.shape[CHANNELS], 1)
    if n <= 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}: a batch of one has no "
            f"variance; use a larger one, or eval()"
        )
    mean, variance = batch_statistics(input)
    for running, now, scale in ((running_mean, mean, 1.0), (running_var, variance, n / (n - 1))):
        if running is not None:
            average_in(running, now, scale, momentum)
    return normalized(input, weight, bias, mean.array, variance.array, eps, True)


@op(many=True, constant=True)
def batch_statistics(input):
    """Mean and variance per channel."""
    axes = axes_but_channels(input.ndim)
    return (input.mean(axes), input.var(axes)), None


@outside
def average_in(running: Tensor, now: Tensor, scale: float, momentum: float) -> None:
    """running += momentum * (now * scale - running), in place."""
    average = writable(running)
    average += (momentum * (now.array * scale - average)).astype(average.dtype)


def check(input: Tensor, **others: Any) -> None:
    """Refuse what has not one value per channel."""
    if input.ndim < 2:
        raise ShapeError(
            f"batch_norm: input needs 2 dimensions or more (batch, channels, ...), got shape {tuple(input.shape)}"
        )
    channels = input.shape[CHANNELS]
    for name, other in others.items():
        if other is not None and tuple(other.shape) != (channels,):
            raise ShapeError(
                f"batch_norm: {name} should contain {channels} elements, one per channel of an input of shape "
                f"{tuple(input.shape)}, and has shape {tuple(other.shape)}"
            )
