"""Running results along a dimension: cumsum, logcumsumexp, cumprod, cummax, cummin; prod, whose VJP is made of them; diff.

The VJPs of products divide by nothing, so zeros among the factors are no special case.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.dtypes import as_dtype, is_floating
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.dims import axes_of, dim_of, reduced_shape, spread
from nbgrad.ops.index import gather
from nbgrad.ops.order import Ordered


def summed_as(dtype: np.dtype) -> Any:
    """The dtype in which integers and booleans are accumulated."""
    return dtype if is_floating(dtype) else np.dtype(np.int64)


# ---------------------------------------------------------------- sums


@op
def summed_up(x, axis, backwards):
    """Running sums along an axis, from its first element on, or from its last."""
    return running(np.cumsum, x, axis, backwards), (axis, backwards)


@summed_up.vjp
def summed_up(residuals, g):
    # x_bar_i = sum over k >= i of g_k: a running sum from the other end
    axis, backwards = residuals
    return (running(np.cumsum, g, axis, not backwards),)


@summed_up.double()
def summed_up(residuals, g):
    axis, backwards = residuals
    return (summed_up(g, axis, not backwards),)


def running(function: Any, x: np.ndarray, axis: int, backwards: bool) -> np.ndarray:
    if x.ndim == 0:
        return np.array(x)
    if backwards:
        return np.ascontiguousarray(np.flip(function(np.flip(x, axis), axis, x.dtype), axis))
    return function(x, axis, x.dtype)


def converted(x: Any, dtype: Any) -> Any:
    """x in the dtype that is asked for, or in which it is accumulated."""
    return x.to(summed_as(x.dtype) if dtype is None else as_dtype(dtype))


def cumsum(x: Any, dim: int, dtype: Any = None) -> Any:
    """Running sums along a dimension; booleans and integers are summed as int64.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int
        Along which.
    dtype : dtype, optional
        Convert first.

    Returns
    -------
    Tensor, shape of `x`

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cumsum(nb.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    return summed_up(converted(x, dtype), dim_of(dim, x.ndim), False)


# ---------------------------------------------------------------- sums of exponentials


@op
def log_summed_up(x):
    """Logarithms of running sums of exponentials, along the last dimension."""
    y = np.logaddexp.accumulate(x, -1)
    return y, (x, y)


@log_summed_up.vjp
def log_summed_up(residuals, g):
    # x_bar_i = sum over k >= i of g_k e^(x_i - y_k) = e^(x_i - y_i) s_i, with s_i = g_i + e^(y_i - y_(i+1)) s_(i+1); y rises
    # along the way, so no exponent is above 0
    x, y = residuals
    steps = np.exp(np.minimum(shifted(y) - y, 0))
    s = solved(g[..., ::-1], shifted(steps[..., ::-1]))[..., ::-1]
    return (np.exp(x - y) * s,)


@log_summed_up.double("0 y")
def log_summed_up(residuals, g):
    x, y = residuals
    first = np.zeros(x.shape, bool)
    first[..., :1] = True
    steps = (shifted_tensor(y) - y).masked_fill(Tensor(first), 0.0).exp()
    s = recurrence(g.flip(-1), shifted_tensor(steps.flip(-1))).flip(-1)
    return ((x - y).exp() * s,)


def logcumsumexp(x: Any, dim: int) -> Any:
    """Logarithms of running sums of exponentials along a dimension, without overflow.

    Parameters
    ----------
    x : Tensor
        Floating-point values.
    dim : int
        Along which.

    Returns
    -------
    Tensor, shape of `x`

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.logcumsumexp(nb.tensor([0.0, 0.0, 1000.0]), 0)
    tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    """
    axis = dim_of(dim, x.ndim)
    if x.ndim == 0:
        return x.clone()
    return log_summed_up(x.transpose(axis, -1)).transpose(axis, -1)


# ---------------------------------------------------------------- products


@op(inputs=2)
def recurrence(x, factors):
    """y_i = x_i + factors_i y_(i-1) along the last dimension; y before the first is 0.

    Parameters
    ----------
    x, factors : Tensor
        Of one shape and dtype.

    Returns
    -------
    Tensor, shape of `x`
    """
    y = solved(x, factors)
    return y, (factors, y)


@recurrence.vjp
def recurrence(residuals, g):
    # x_bar_i = g_i + factors_(i+1) x_bar_(i+1), and factors_bar_i = x_bar_i y_(i-1)
    factors, y = residuals
    x_bar = solved(g[..., ::-1], shifted(factors[..., ::-1]))[..., ::-1]
    return x_bar, x_bar * shifted(y)


@recurrence.double("1 y")
def recurrence(residuals, g):
    factors, y = residuals
    x_bar = recurrence(g.flip(-1), shifted_tensor(factors.flip(-1))).flip(-1)
    return x_bar, x_bar * shifted_tensor(y)


def solved(x: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Forward of `recurrence`."""
    y = empty(x.shape, x.dtype)
    n = x.shape[-1]
    _recurrence(contiguous(x), contiguous(factors), y, y.size // n if n else 0, n)
    return y


def shifted(x: np.ndarray) -> np.ndarray:
    """Each element in the next place of the last dimension, 0 in the first."""
    y = empty_like(x)
    y[..., :1] = 0
    y[..., 1:] = x[..., :-1]
    return y


@op
def shifted_tensor(x):
    """`shifted`, differentiable."""
    return shifted(x), None


@shifted_tensor.vjp
def shifted_tensor(residuals, g):
    return (shifted(g[..., ::-1])[..., ::-1],)


@shifted_tensor.double()
def shifted_tensor(residuals, g):
    return (shifted_tensor(g.flip(-1)).flip(-1),)


@op
def multiplied_up(x):
    """Running products along the last dimension."""
    return running(np.cumprod, x, x.ndim - 1, False), (x,)


@multiplied_up.vjp
def multiplied_up(residuals, g):
    # x_bar_i = (product of x before i) * (sum over k >= i of g_k times the product of x from i + 1 to k)
    (x,) = residuals
    before = shifted(running(np.cumprod, x, x.ndim - 1, False))
    before[..., :1] = 1
    return (before * solved(g[..., ::-1], shifted(x[..., ::-1]))[..., ::-1],)


@multiplied_up.double("0")
def multiplied_up(residuals, g):
    (x,) = residuals
    first = np.zeros(x.shape, x.dtype)
    first[..., :1] = 1
    before = shifted_tensor(multiplied_up(x)) + first
    return (before * recurrence(g.flip(-1), shifted_tensor(x.flip(-1))).flip(-1),)


def cumprod(x: Any, dim: int, dtype: Any = None) -> Any:
    """Running products along a dimension; booleans and integers are multiplied as int64.

    Parameters
    ----------
    x, dim, dtype
        As for `cumsum`.

    Returns
    -------
    Tensor, shape of `x`

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cumprod(nb.tensor([2.0, 3.0, 4.0]), 0)
    tensor([ 2.,  6., 24.])
    """
    axis, x = dim_of(dim, x.ndim), converted(x, dtype)
    if x.ndim == 0:
        return x.clone()
    return multiplied_up(x.transpose(axis, -1)).transpose(axis, -1)


def prod(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The product over dimensions; booleans and integers are multiplied as int64.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int or tuple of int, optional
        Dimensions to multiply over, all by default.
    keepdim : bool
        Keep them with length 1.
    dtype : dtype, optional
        Convert first.

    Returns
    -------
    Tensor
        1 for no elements.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.prod(nb.tensor([2.0, 3.0, 4.0]))
    tensor(24.)
    """
    axes, x = axes_of(dim, x.ndim), converted(x, dtype)
    if x.ndim == 0:
        return x.clone()
    others = [axis for axis in range(x.ndim) if axis not in axes]
    kept = [x.shape[axis] for axis in others]
    n = int(np.prod([x.shape[axis] for axis in axes]))
    y = product_of_rows(x.permute(*others, *axes).reshape(*kept, n))
    return y.reshape(reduced_shape(tuple(x.shape), axes, keepdim))


@op
def product_of_rows(x):
    """The product over the last dimension."""
    return np.asarray(np.multiply.reduce(x, -1)), (x,)


@product_of_rows.vjp
def product_of_rows(residuals, g):
    # x_bar_i = g * (product of x before i) * (product of x after i)
    (x,) = residuals
    sides = []
    for step in (1, -1):
        side = shifted(running(np.cumprod, x[..., ::step], x.ndim - 1, False))
        side[..., :1] = 1
        sides.append(side[..., ::step])
    return (spread(g, x.shape, (x.ndim - 1,)) * sides[0] * sides[1],)


@product_of_rows.double("0")
def product_of_rows(residuals, g):
    (x,) = residuals
    first = np.zeros(x.shape, x.dtype)
    first[..., :1] = 1
    before = shifted_tensor(multiplied_up(x)) + first
    after = (shifted_tensor(multiplied_up(x.flip(-1))) + first).flip(-1)
    return (g.unsqueeze(-1) * before * after,)


# ---------------------------------------------------------------- extrema


@op(constant=True)
def last_best(x, axis, ufunc):
    """The place of the best element up to each place along an axis; of equal ones, the last."""
    best = ufunc.accumulate(x, axis)
    holds = (x == best) | (x != x)
    numbers = np.arange(x.shape[axis]).reshape([-1 if d == axis else 1 for d in range(x.ndim)])
    return np.maximum.accumulate(np.where(holds, numbers, 0), axis), None


def best_so_far(x: Any, dim: int, ufunc: Any) -> Ordered:
    axis = dim_of(dim, x.ndim)
    if x.ndim == 0:
        return Ordered(x.clone(), last_best(x.reshape(1), 0, ufunc).reshape(()))
    places = last_best(x, axis, ufunc)
    return Ordered(gather(x, axis, places), places)


def cummax(x: Any, dim: int) -> Ordered:
    """The largest element so far along a dimension, and its place; of equal ones, the last.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cummax(nb.tensor([1.0, 3.0, 2.0]), 0).values
    tensor([1., 3., 3.])
    """
    return best_so_far(x, dim, np.maximum)


def cummin(x: Any, dim: int) -> Ordered:
    """The smallest element so far along a dimension, and its place; of equal ones, the last.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cummin(nb.tensor([2.0, 3.0, 1.0]), 0).indices
    tensor([0, 0, 2])
    """
    return best_so_far(x, dim, np.minimum)


def diff(x: Any, n: int = 1, dim: int = -1) -> Any:
    """Differences of neighbours along a dimension, taken n times.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.diff(nb.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    before = (slice(None),) * dim_of(dim, x.ndim)
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    return x


@kernel("aa>ann")
def _recurrence(x, factors, y, rows, n):
    for row in range(rows):
        last = x.dtype.type(0)
        for i in range(row * n, (row + 1) * n):
            last = x[i] + factors[i] * last
            y[i] = last
