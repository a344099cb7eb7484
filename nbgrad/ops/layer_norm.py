"""layer_norm, group_norm, rms_norm: rows with mean 0 and variance 1, in one pass over memory each way.

A row is what statistics are taken over.  The kernels see (rows, columns); a weight and a bias have one value per column,
or, for groups of channels, one per run of columns.
"""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.index import spread_out
from nbgrad.ops.pointwise import floats

NONE = np.zeros(0, np.float32), np.zeros(0, np.float64)


def absent(like: np.ndarray) -> np.ndarray:
    """An empty array of a dtype, for a kernel's weight or bias that is not there."""
    return NONE[0] if like.dtype == NONE[0].dtype else NONE[1]


@op(inputs=3)
def normalized_rows(input, weight, bias, columns, run, groups, eps, centered, needs=None):
    """(input - mean) / sqrt(variance + eps) * weight + bias, per row of `columns` elements.

    Column c of row r has weight (r mod groups) * (columns / run) + c // run; `centered` False leaves the mean out.
    """
    x = contiguous(floats(input))
    y = empty_like(x)
    rows = x.size // columns if columns else 0
    mean, rate = empty((rows,), x.dtype), empty((rows,), x.dtype)
    w = absent(x) if weight is None else contiguous(weight)
    b = absent(x) if bias is None else contiguous(bias)
    _normalize(x, w, b, y, mean, rate, rows, columns, run, groups, eps, int(centered))
    shapes = None if weight is None else weight.shape, None if bias is None else bias.shape
    return y, (x, w, mean, rate, columns, run, groups, eps, centered, shapes, needs)


@normalized_rows.vjp
def normalized_rows(residuals, g):
    # x_bar = rate (s - mean(s) - x_hat mean(s x_hat)) with s = g weight
    x, w, mean, rate, columns, run, groups, _, centered, shapes, needs = residuals
    n = groups * (columns // run)
    x_bar = empty_like(x)
    w_bar = empty((n,), x.dtype)
    b_bar = empty((n,), x.dtype)
    w_bar.fill(0)
    b_bar.fill(0)
    numbers = len(mean), columns, run, groups, int(centered), int(needs[1] or needs[2])
    _normalize_vjp(contiguous(g), x, w, mean, rate, x_bar, w_bar, b_bar, *numbers)
    return (
        x_bar,
        w_bar.reshape(shapes[0]) if needs[1] else None,
        b_bar.reshape(shapes[1]) if needs[2] else None,
    )


@normalized_rows.double("0 1")
def normalized_rows(residuals, g):
    x, w, _, _, columns, run, groups, eps, centered, shapes, needs = residuals
    rows, flow = x.reshape(-1, columns), g.reshape(-1, columns)
    if centered:
        rows = rows - rows.mean(1, True)
    rate = ((rows * rows).mean(1, True) + eps) ** -0.5
    x_hat = rows * rate
    n = groups * (columns // run)
    first = np.arange(len(rows)).reshape(-1, 1) % groups * (columns // run)
    places = first + np.arange(columns) // run  # of the weight of each element
    s = flow * w.reshape(-1)[places] if w.numel() else flow
    x_bar = s - x_hat * (s * x_hat).mean(1, True)
    if centered:
        x_bar = x_bar - s.mean(1, True)
    w_bar = b_bar = None
    if needs[1]:
        w_bar = spread_out(flow * x_hat, (n,), places).reshape(shapes[0])
    if needs[2]:
        b_bar = spread_out(flow, (n,), places).reshape(shapes[1])
    return (x_bar * rate).reshape(x.shape), w_bar, b_bar


def check_normalized_shape(name: str, input: Tensor, shape: Any, **tensors: Any) -> tuple:
    """The normalized shape as a tuple.

    Raises
    ------
    ShapeError
        If it is not the end of the input's shape, or a weight has another one.
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{name}: Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size {list(input.shape)}"
        )
    for what, tensor in tensors.items():
        if tensor is not None and tensor.shape != shape:
            raise ShapeError(
                f"{name}: Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{list(tensor.shape)} and normalized_shape = {list(shape)}"
            )
    return shape


def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize over the last dimensions, then scale and shift.

    Parameters
    ----------
    input : Tensor, shape (*, *normalized_shape)
        Values.
    normalized_shape : int or tuple of int
        The dimensions over which mean and variance are taken.
    weight, bias : Tensor of that shape, or None
        Scale and shift.
    eps : float
        Added to variances.

    Returns
    -------
    Tensor, shape of `input`

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    References
    ----------
    Ba, Kiros and Hinton 2016, Layer normalization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.layer_norm(nb.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    shape = check_normalized_shape("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    columns = math.prod(shape)
    return normalized_rows(input, weight, bias, columns, 1, 1, eps, True)


def rms_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root of the mean square over the last dimensions, then scale.

    Parameters
    ----------
    eps : float, optional
        Added to mean squares; the machine epsilon of the dtype by default.

    References
    ----------
    Zhang and Sennrich 2019, Root mean square layer normalization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.rms_norm(nb.tensor([[1.0, 7.0]]), (2,))
    tensor([[0.2000, 1.4000]])
    """
    shape = check_normalized_shape("rms_norm", input, normalized_shape, weight=weight)
    small = float(np.finfo(input.dtype).eps) if eps is None else eps
    return normalized_rows(input, weight, None, math.prod(shape), 1, 1, small, False)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize over groups of channels, then scale and shift each channel.

    Parameters
    ----------
    input : Tensor, shape (n, channels, ...)
        Values.
    num_groups : int
        A divisor of the number of channels.
    weight, bias : Tensor, shape (channels,), or None
        Scale and shift.
    eps : float
        Added to variances.

    Returns
    -------
    Tensor, shape of `input`

    Raises
    ------
    ShapeError
        If the channels can't be divided into so many groups, or a weight has not one value per channel.

    References
    ----------
    Wu and He 2018, Group normalization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.group_norm(nb.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    channels = input.shape[1] if input.ndim > 1 else 0
    if num_groups < 1 or channels % num_groups or not channels:
        raise ShapeError(
            f"group_norm: Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    for what, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.shape != (channels,):
            raise ShapeError(
                f"group_norm: Expected {what} to be a vector of size equal to the number of channels in input, but got "
                f"{what} of shape {list(tensor.shape)} and input of shape {list(input.shape)}"
            )
    run = math.prod(input.shape[2:])
    columns = channels // num_groups * run
    return normalized_rows(input, weight, bias, columns, run or 1, num_groups, eps, True)


@kernel("aAA>a>A>Annnnfn")
def _normalize(x, w, b, y, mean, rate, rows, columns, run, groups, eps, centered):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    n = x.dtype.type(columns)
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        c = y[r * columns : (r + 1) * columns]
        m = zero
        if centered:
            for i in range(columns):
                m += a[i]
            m /= n
        v = zero
        for i in range(columns):
            v += (a[i] - m) * (a[i] - m)
        s = one / fsqrt(v / n + eps)
        mean[r] = m
        rate[r] = s
        if run == 1 and groups == 1 and w.size and b.size:
            for i in range(columns):
                c[i] = (a[i] - m) * s * w[i] + b[i]
        else:
            first = (r % groups) * (columns // run)
            for k in range(columns // run):
                scale = s * w[first + k] if w.size else s
                shift = b[first + k] if b.size else zero
                for i in range(k * run, (k + 1) * run):
                    c[i] = (a[i] - m) * scale + shift


@kernel("aaAAA>a>A>Annnnnn")
def _normalize_vjp(
    g, x, w, mean, rate, x_bar, w_bar, b_bar, rows, columns, run, groups, centered, sums
):
    zero = x.dtype.type(0)
    n = x.dtype.type(columns)
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        d = g[r * columns : (r + 1) * columns]
        c = x_bar[r * columns : (r + 1) * columns]
        m, s = mean[r], rate[r]
        first = (r % groups) * (columns // run)
        total, inner = zero, zero
        if run == 1 and groups == 1:
            if sums and w.size:  # what is usual, in one loop
                for i in range(columns):
                    off = a[i] - m
                    t = d[i] * w[i]
                    w_bar[i] += d[i] * (off * s)
                    b_bar[i] += d[i]
                    total += t
                    inner += t * off
            elif sums:
                for i in range(columns):
                    off = a[i] - m
                    w_bar[i] += d[i] * (off * s)
                    b_bar[i] += d[i]
                    total += d[i]
                    inner += d[i] * off
            elif w.size:
                for i in range(columns):
                    t = d[i] * w[i]
                    total += t
                    inner += t * (a[i] - m)
            else:
                for i in range(columns):
                    total += d[i]
                    inner += d[i] * (a[i] - m)
        else:
            for k in range(columns // run):
                part, product = zero, zero
                for i in range(k * run, (k + 1) * run):
                    part += d[i]
                    product += d[i] * (a[i] - m)
                w_bar[first + k] += product * s
                b_bar[first + k] += part
                scale = w[first + k] if w.size else x.dtype.type(1)
                total += part * scale
                inner += product * scale
        total = total / n if centered else zero
        inner = inner * s * s / n
        if run == 1 and groups == 1:
            if w.size:
                for i in range(columns):
                    c[i] = s * (d[i] * w[i] - total - (a[i] - m) * inner)
            else:
                for i in range(columns):
                    c[i] = s * (d[i] - total - (a[i] - m) * inner)
        else:
            for k in range(columns // run):
                scale = w[first + k] if w.size else x.dtype.type(1)
                for i in range(k * run, (k + 1) * run):
                    c[i] = s * (d[i] * scale - total - (a[i] - m) * inner)
