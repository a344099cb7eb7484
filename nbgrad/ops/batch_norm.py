"""batch_norm: each channel with mean 0 and variance 1 over the batch, then scaled and shifted; in its plain form."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, writable
from nbgrad.autograd.op import op
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
    centered = np.subtract(input, mean.reshape(form), out=empty(input.shape, input.dtype))
    x_hat = np.multiply(centered, rate, out=centered)
    y = x_hat
    if weight is not None:
        y = np.multiply(x_hat, weight.reshape(form), out=empty(input.shape, input.dtype))
    if bias is not None:
        y = np.add(y, bias.reshape(form), out=empty(y.shape, y.dtype) if y is x_hat else y)
    return y, (x_hat, rate, weight, of_batch, needs)


@normalized.vjp
def normalized(residuals, g):
    # x_bar = rate * (s - mean(s) - x_hat mean(s x_hat)) with s = g * weight; the means only where they are the batch's
    x_hat, rate, weight, of_batch, needs = residuals
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
    x = input.data
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "Expected running_mean and running_var to be defined when training=False: pass them, or training=True for "
                "the statistics of the batch"
            )
        return normalized(input, weight, bias, running_mean.data, running_var.data, eps, False)
    n = x.size // max(x.shape[CHANNELS], 1)
    if n <= 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}: a batch of one has no "
            f"variance; use a larger one, or eval()"
        )
    axes = axes_but_channels(x.ndim)
    mean, variance = x.mean(axes), x.var(axes)
    for running, now in ((running_mean, mean), (running_var, variance * (n / (n - 1)))):
        if running is not None:
            average = writable(running)
            average += (momentum * (now - average)).astype(average.dtype)
    return normalized(input, weight, bias, mean, variance, eps, True)


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
