"""softmax and log_softmax along one dimension, each row in one pass while it is in the cache."""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError
from nbgrad.jit import fmath, kernel
from nbgrad.jit.primitive import fmax
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.dims import dim_of, reduced_shape
from nbgrad.ops.pointwise import floats

exp_of = fmath.exp


def rows_of(x: np.ndarray, axis: int) -> np.ndarray:
    """x with `axis` last, contiguous."""
    return contiguous(x.swapaxes(axis, -1)) if x.ndim else x


def run_rows(kernel_of: Any, axis: int, *arrays: np.ndarray) -> np.ndarray:
    """Run a row kernel along an axis of arrays; returns what it wrote, in the layout they came in."""
    rows = [rows_of(x, axis) for x in arrays]
    out = empty_like(rows[0])
    columns = out.shape[-1] if out.ndim else 1
    if out.size:
        kernel_of(*rows, out, out.size // columns, columns)
    return out.swapaxes(axis, -1) if out.ndim else out


def axis_for(dim: int | None, x: np.ndarray) -> int:
    if dim is None:
        raise DtypeError("softmax needs the dimension along which to normalize: pass dim=-1, say")
    return dim_of(dim, x.ndim)


@op
def softmax(input, dim=None, dtype=None):
    """Exponentials of the scores, scaled so that they sum to 1 along a dimension.

    Parameters
    ----------
    input : Tensor
        Scores in nats.  Any finite value is safe: the largest is subtracted first.
    dim : int
        Along which the results sum to 1.

    Returns
    -------
    Tensor
        Probabilities, no unit.

    References
    ----------
    Bridle 1990, Probabilistic interpretation of feedforward classification network outputs.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.softmax(nb.tensor([[0.0, 0.0]]), dim=1)
    tensor([[0.5000, 0.5000]])
    """
    axis = axis_for(dim, input)
    y = run_rows(_softmax, axis, floats(input if dtype is None else input.astype(dtype)))
    return y, (y, axis, input.dtype)


@softmax.vjp
def softmax(residuals, g):
    # x_bar = y * (g - <g, y>), row by row
    y, axis, dtype = residuals
    x_bar = run_rows(_softmax_vjp, axis, y, g)
    return (x_bar.astype(dtype, copy=False),)


@softmax.double("y")
def softmax(residuals, g):
    y, axis, dtype = residuals
    flow = y * g
    return ((flow - y * flow.sum(axis, True)).to(dtype),)


@op
def log_softmax(input, dim=None, dtype=None):
    """Logarithm of softmax, exact where a probability is too small to be written.

    Parameters
    ----------
    input : Tensor
        Scores in nats.
    dim : int
        Along which the probabilities sum to 1.

    Returns
    -------
    Tensor
        Logarithms of probabilities, in nats.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.log_softmax(nb.tensor([0.0, -1000.0]), dim=0)
    tensor([    0., -1000.])
    """
    axis = axis_for(dim, input)
    y = run_rows(_log_softmax, axis, floats(input if dtype is None else input.astype(dtype)))
    return y, (y, axis, input.dtype)


@log_softmax.vjp
def log_softmax(residuals, g):
    # x_bar = g - e^y sum(g), row by row
    y, axis, dtype = residuals
    x_bar = run_rows(_log_softmax_vjp, axis, y, g)
    return (x_bar.astype(dtype, copy=False),)


@log_softmax.double("y")
def log_softmax(residuals, g):
    y, axis, dtype = residuals
    return ((g - y.exp() * g.sum(axis, True)).to(dtype),)


@op
def logsumexp(x, dim, keepdim=False):
    """Logarithm of the sum of exponentials along a dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.logsumexp(nb.tensor([100.0, 100.0]), 0)
    tensor(100.6931)
    """
    axis = dim_of(dim, x.ndim)
    rows = rows_of(floats(x), axis)
    y = empty(rows.shape[:-1], rows.dtype)
    if y.size:
        _logsumexp(rows, y, y.size, rows.shape[-1] if rows.ndim else 1)
    wide = y[..., None].swapaxes(axis, -1) if x.ndim else y
    z = wide if keepdim else wide.reshape(reduced_shape(x.shape, (axis,), False))
    return z, (x, wide, axis)


@logsumexp.vjp
def logsumexp(residuals, g):
    # x_bar = g e^(x - y)
    x, y, _ = residuals
    x_bar = np.subtract(x, y, out=empty_like(x))
    np.exp(x_bar, out=x_bar)
    return (np.multiply(x_bar, g.reshape(y.shape), out=x_bar),)


@logsumexp.double("0")
def logsumexp(residuals, g):
    x, y, axis = residuals
    return (g.reshape(y.shape) * softmax(x, axis),)


@kernel("a>ann")
def _softmax(x, y, rows, columns):
    zero = x.dtype.type(0)
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        b = y[r * columns : (r + 1) * columns]
        top = a[0]
        for c in range(columns):
            top = fmax(top, a[c])
        total = zero
        for c in range(columns):
            e = exp_of(a[c] - top, x)
            b[c] = e
            total += e
        for c in range(columns):
            b[c] /= total


@kernel("aa>ann")
def _softmax_vjp(y, g, x_bar, rows, columns):
    zero = g.dtype.type(0)
    for r in range(rows):
        p = y[r * columns : (r + 1) * columns]
        a = g[r * columns : (r + 1) * columns]
        b = x_bar[r * columns : (r + 1) * columns]
        inner = zero
        for c in range(columns):
            inner += a[c] * p[c]
        for c in range(columns):
            b[c] = p[c] * (a[c] - inner)


@kernel("a>ann")
def _log_softmax(x, y, rows, columns):
    zero = x.dtype.type(0)
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        b = y[r * columns : (r + 1) * columns]
        top = a[0]
        for c in range(columns):
            top = fmax(top, a[c])
        total = zero
        for c in range(columns):
            total += exp_of(a[c] - top, x)
        shift = x.dtype.type(math.log(total))
        for c in range(columns):
            b[c] = (a[c] - top) - shift


@kernel("aa>ann")
def _log_softmax_vjp(y, g, x_bar, rows, columns):
    zero = g.dtype.type(0)
    for r in range(rows):
        p = y[r * columns : (r + 1) * columns]
        a = g[r * columns : (r + 1) * columns]
        b = x_bar[r * columns : (r + 1) * columns]
        total = zero
        for c in range(columns):
            total += a[c]
        for c in range(columns):
            b[c] = a[c] - exp_of(p[c], y) * total


@kernel("a>Ann")
def _logsumexp(x, y, rows, columns):
    zero = x.dtype.type(0)
    for r in range(rows):
        a = x[r * columns : (r + 1) * columns]
        top = a[0]
        for c in range(columns):
            top = fmax(top, a[c])
        total = zero
        if top - top == zero:
            for c in range(columns):
                total += exp_of(a[c] - top, x)
            y[r] = top + x.dtype.type(math.log(total))
        else:  # infinite, or all are NaN
            y[r] = top
            for c in range(columns):
                if a[c] != a[c]:
                    y[r] = a[c]
