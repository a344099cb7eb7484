"""Reductions: sum, mean, any, all, spread and norm.

`dim` is one dimension, several, or None for all; `keepdim` keeps them with length 1.
"""

import builtins
from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.dtypes import as_dtype, is_floating
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit.forms import STREAM_BYTES, fill
from nbgrad.ops.compare import eq, ne
from nbgrad.ops.dims import axes_of, ints_of, reduced_shape, spread
from nbgrad.ops.index import masked_fill
from nbgrad.ops.peak import amax
from nbgrad.ops.shape import reshape
from nbgrad.ops.total import can_total, total


def add_up(x: np.ndarray, axes: tuple, kind: Any, y: np.ndarray, keepdim: bool) -> None:
    """Sums over axes into `y`, whose dtype is `kind`."""
    if y.size == 1 and len(axes) == x.ndim and kind is x.dtype and can_total(x):
        y[...] = total(x)
    else:
        np.add.reduce(x, axis=axes, dtype=kind, out=y, keepdims=keepdim)


def filled(shape: tuple, g: np.ndarray) -> np.ndarray:
    """A new array with `g` repeated to a shape."""
    x_bar = empty(shape, g.dtype)
    if x_bar.nbytes >= STREAM_BYTES and g.size == 1:
        fill(x_bar, g.item())
    else:
        x_bar[...] = g
    return x_bar


@op
def sum(x, dim=None, keepdim=False, dtype=None):
    """Sum over dimensions; booleans and integers are summed as int64.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int or tuple of int, optional
        Dimensions to sum over, all by default.
    keepdim : bool
        Keep them with length 1.
    dtype : dtype, optional
        Convert first.

    Returns
    -------
    Tensor

    Raises
    ------
    IndexError
        If there is no such dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sum(nb.ones(2, 3), dim=0)
    tensor([2., 2., 2.])
    """
    own = x.dtype
    if dtype is not None:
        x = x.astype(as_dtype(dtype), copy=False)
    axes = axes_of(dim, x.ndim)
    kind = x.dtype if is_floating(x.dtype) else np.dtype(np.int64)
    y = empty(reduced_shape(x.shape, axes, keepdim), kind)
    add_up(x, axes, kind, y, keepdim)
    return y, (x.shape, axes, own)


@sum.vjp
def sum(residuals, g):
    shape, axes, dtype = residuals
    x_bar = filled(shape, g if g.ndim == 0 else spread(g, shape, axes))
    return (x_bar if x_bar.dtype is dtype else x_bar.astype(dtype, copy=False),)


@sum.double()
def sum(residuals, g):
    shape, axes, dtype = residuals
    return (spread(g, shape, axes).expand(shape).to(dtype),)


@op
def mean(x, dim=None, keepdim=False):
    """Mean over dimensions.

    Parameters
    ----------
    x : Tensor
        Floating-point values.
    dim : int or tuple of int, optional
        Dimensions to average over, all by default.
    keepdim : bool
        Keep them with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    DtypeError
        If the values are integers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.mean(nb.tensor([1.0, 2.0, 6.0]))
    tensor(3.)
    """
    if not is_floating(x.dtype):
        raise DtypeError(
            f"mean(): could not infer output dtype. Input dtype must be a floating point dtype, and this one is "
            f"{x.dtype}; use x.float().mean()"
        )
    axes = axes_of(dim, x.ndim)
    y = empty(reduced_shape(x.shape, axes, keepdim), x.dtype)
    add_up(x, axes, x.dtype, y, keepdim)
    n = x.size // y.size if y.size else 0
    with np.errstate(invalid="ignore", divide="ignore"):
        np.divide(y, n, out=y)  # the mean of nothing is NaN
    return y, (x.shape, axes, n)


@mean.vjp
def mean(residuals, g):
    shape, axes, n = residuals
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.divide(g, n, out=empty_like(g))
    return (filled(shape, spread(share, shape, axes)),)


@mean.double()
def mean(residuals, g):
    shape, axes, n = residuals
    return ((spread(g, shape, axes) / max(n, 1)).expand(shape),)


@op(constant=True)
def any(x, dim=None, keepdim=False):
    """Whether any element along the dimensions is not zero.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.any(nb.tensor([False, True]))
    tensor(True)
    """
    return np.asarray(np.any(x, axes_of(dim, x.ndim), keepdims=keepdim)), None


@op(constant=True)
def all(x, dim=None, keepdim=False):
    """Whether all elements along the dimensions are not zero.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.all(nb.tensor([False, True]))
    tensor(False)
    """
    return np.asarray(np.all(x, axes_of(dim, x.ndim), keepdims=keepdim)), None


def sum_to_size(x: Any, *size: Any) -> Any:
    """The sum over all dimensions along which a tensor of that size would be repeated to give x's.

    Raises
    ------
    ShapeError
        If a tensor of that size can't be broadcast to x's.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.ones(2, 3).sum_to_size(3)
    tensor([2., 2., 2.])
    """
    wanted, shape = ints_of(size), x.array.shape
    lead = len(shape) - len(wanted)
    if lead < 0 or builtins.any(n not in (1, have) for n, have in zip(wanted, shape[lead:])):
        raise ShapeError(
            f"size {wanted} is not expandable to size {tuple(shape)}: each length must be 1 or equal"
        )
    own = zip(wanted, shape[lead:])
    axes = [axis for axis, (n, have) in enumerate(own, lead) if n != have]
    axes = [*range(lead), *axes]
    return reshape(sum(x, axes, True), wanted) if axes else x


def var(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Any:
    """Mean square distance from the mean; divided by n - 1 if `unbiased`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.var(nb.tensor([1.0, 3.0]))
    tensor(2.)
    """
    axes = axes_of(dim, x.ndim)
    n = int(np.prod([x.array.shape[axis] for axis in axes]))
    away = x - mean(x, axes, True)
    total = sum(away * away, axes, keepdim)
    count = n - 1 if unbiased else n
    return total / float(count) if count > 0 else total * float("nan")


def std(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Any:
    """Square root of `var`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.std(nb.tensor([1.0, 3.0]), unbiased=False)
    tensor(1.)
    """
    return var(x, dim, unbiased, keepdim) ** 0.5


class Spread(NamedTuple):
    """What `var_mean` and `std_mean` return, var or std first."""

    spread: Any
    mean: Any


def var_mean(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Spread:
    """`var` and `mean`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> var, mean = nb.var_mean(nb.tensor([1.0, 3.0]))
    >>> var, mean
    (tensor(2.), tensor(2.))
    """
    return Spread(var(x, dim, unbiased, keepdim), mean(x, dim, keepdim))


def std_mean(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Spread:
    """`std` and `mean`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> std, mean = nb.std_mean(nb.tensor([1.0, 3.0]), unbiased=False)
    >>> std, mean
    (tensor(1.), tensor(2.))
    """
    return Spread(std(x, dim, unbiased, keepdim), mean(x, dim, keepdim))


def nansum(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The sum over dimensions of what is not NaN.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nansum(nb.tensor([1.0, float("nan"), 3.0]))
    tensor(4.)
    """
    return sum(masked_fill(x, ne(x, x), 0), dim, keepdim, dtype)


def nanmean(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The mean over dimensions of what is not NaN; NaN where there is nothing else.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nanmean(nb.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    return nansum(x, dim, keepdim) / sum(eq(x, x), dim, keepdim, x.dtype)


def norm(x: Any, p: float = 2.0, dim: Any = None, keepdim: bool = False) -> Any:
    """(sum of |x|^p)^(1/p) over dimensions.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.norm(nb.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if p == float("inf"):
        return amax(abs(x), dim, keepdim)
    powers = x * x if p == 2 else abs(x) ** p
    return sum(powers, dim, keepdim) ** (1.0 / p)
