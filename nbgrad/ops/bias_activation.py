"""bias_activation: a bias per column and an activation in one pass over memory; the bias's gradient in the pass back."""

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.activation import gelu_at, gelu_slope_at, slope_of_gelu
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.pointwise import floats


@op(inputs=2)
def bias_activation(input, bias, activation="relu"):
    """activation(input + bias), with a bias per element of the last dimension.

    What `relu(input + bias)` computes, in one pass over memory each way instead of two.

    Parameters
    ----------
    input : Tensor, shape (..., n)
        Floating-point values.
    bias : Tensor, shape (n,)
        Of the same dtype.
    activation : {"relu", "gelu"}
        The gelu is the exact one.

    Returns
    -------
    Tensor, shape of `input`

    Raises
    ------
    ShapeError
        If the bias does not fit.
    ValueError
        For another activation.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.bias_activation(nb.tensor([[1.0, -3.0]]), nb.tensor([1.0, 2.0]))
    tensor([[2., 0.]])
    """
    if activation not in ("relu", "gelu"):
        raise ValueError(f'activation is "relu" or "gelu", not {activation!r}')
    if bias.ndim != 1 or input.shape[-1:] != bias.shape:
        raise ShapeError(
            f"bias_activation needs a bias of shape {input.shape[-1:]} for an input of shape {input.shape}, got {bias.shape}"
        )
    x, b = contiguous(floats(input)), contiguous(bias.astype(input.dtype, copy=False))
    y = empty_like(x)
    rows = x.size // b.size if b.size else 0
    if activation == "relu":
        _bias_relu(x, b, y, rows, b.size)
        return y, (y, None, activation, bias.dtype)
    _bias_gelu(x, b, y, rows, b.size)
    return y, (x, b, activation, bias.dtype)


@bias_activation.vjp
def bias_activation(residuals, g):
    # x_bar = g activation'(x + b), b_bar = its sum over rows
    x, b, activation, dtype = residuals
    x_bar, b_bar = empty_like(x), empty(x.shape[-1:], x.dtype)
    b_bar.fill(0)
    rows = x.size // b_bar.size if b_bar.size else 0
    if activation == "relu":
        _bias_relu_vjp(contiguous(g), x, x_bar, b_bar, rows, b_bar.size)
    else:
        _bias_gelu_vjp(contiguous(g), x, b, x_bar, b_bar, rows, b_bar.size)
    return x_bar, np.asarray(b_bar, dtype)


@bias_activation.double("0 1")
def bias_activation(residuals, g):
    x, b, activation, dtype = residuals
    if activation == "relu":  # x is the result
        x_bar = g.masked_fill(Tensor(x.array <= 0), 0)
    else:
        x_bar = g * slope_of_gelu(x + b)
    return x_bar, x_bar.sum_to_size(x.shape[-1]).to(dtype)


@kernel("aA>ann")
def _bias_relu(x, b, y, rows, columns):
    zero = x.dtype.type(0)
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        c = y[r * columns : (r + 1) * columns]
        for i in range(columns):
            v = a[i] + b[i]
            c[i] = zero if v < zero else v


@kernel("aa>a>Ann")
def _bias_relu_vjp(g, y, x_bar, b_bar, rows, columns):
    zero = g.dtype.type(0)
    for r in range(rows):
        d = g[r * columns : (r + 1) * columns]
        a = y[r * columns : (r + 1) * columns]
        c = x_bar[r * columns : (r + 1) * columns]
        for i in range(columns):
            v = d[i] if a[i] > zero else zero
            c[i] = v
            b_bar[i] += v


@kernel("aA>ann")
def _bias_gelu(x, b, y, rows, columns):
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        c = y[r * columns : (r + 1) * columns]
        for i in range(columns):
            c[i] = gelu_at(a[i] + b[i], x)


@kernel("aaA>a>Ann")
def _bias_gelu_vjp(g, x, b, x_bar, b_bar, rows, columns):
    for r in range(rows):
        d = g[r * columns : (r + 1) * columns]
        a = x[r * columns : (r + 1) * columns]
        c = x_bar[r * columns : (r + 1) * columns]
        for i in range(columns):
            u = d[i] * gelu_slope_at(a[i] + b[i], x)
            c[i] = u
            b_bar[i] += u
