"""Reductions: sum, mean, extrema and their places.

`dim` is one dimension, several, or None for all; `keepdim` keeps them with length 1.
"""

import builtins
from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.dtypes import as_dtype, is_floating
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops.dims import axes_of, dim_of, reduced_shape


def spread(g: np.ndarray, shape: tuple, axes: tuple) -> np.ndarray:
    """A cotangent with its reduced dimensions back, of length 1."""
    return g.reshape(tuple([1 if axis in axes else n for axis, n in enumerate(shape)]))


def filled(shape: tuple, g: np.ndarray) -> np.ndarray:
    """A new array with `g` repeated to a shape."""
    x_bar = empty(shape, g.dtype)
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
    np.add.reduce(x, axes, kind, y, keepdim)
    return y, (x.shape, axes, own)


@sum.vjp
def sum(residuals, g):
    shape, axes, dtype = residuals
    x_bar = filled(shape, g if g.ndim == 0 else spread(g, shape, axes))
    return (x_bar if x_bar.dtype is dtype else x_bar.astype(dtype, copy=False),)


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
    np.add.reduce(x, axes, None, y, keepdim)
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


class Extremum(NamedTuple):
    """What `max` and `min` along one dimension return."""

    values: Any
    indices: Any


def no_elements(name: str, x: np.ndarray, axes: tuple) -> None:
    if builtins.any(x.shape[axis] == 0 for axis in axes):
        raise ShapeError(
            f"{name}(): Expected reduction dim to have non-zero size; the shape is {x.shape}, and nothing is left to "
            f"choose from"
        )


def best(name: str, ufunc: Any, x: np.ndarray, dim: Any, keepdim: bool) -> tuple:
    """Forward of amax and amin."""
    axes = axes_of(dim, x.ndim)
    no_elements(name, x, axes)
    y = empty(reduced_shape(x.shape, axes, keepdim), x.dtype)
    ufunc.reduce(x, axes, None, y, keepdim)
    return y, (x, y, axes)


def best_vjp(residuals: Any, g: np.ndarray) -> tuple:
    """Equal extrema share the cotangent."""
    x, y, axes = residuals
    chosen = x == spread(y, x.shape, axes)
    share = spread(g, x.shape, axes) / chosen.sum(axes, keepdims=True, dtype=g.dtype)
    return (np.multiply(chosen, share, out=empty_like(x)),)


@op
def amax(x, dim=None, keepdim=False):
    """The largest element along dimensions; equal ones share the gradient.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.amax(nb.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([5., 3.])
    """
    return best("amax", np.maximum, x, dim, keepdim)


@amax.vjp
def amax(residuals, g):
    return best_vjp(residuals, g)


@op
def amin(x, dim=None, keepdim=False):
    """The smallest element along dimensions; equal ones share the gradient.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.amin(nb.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """
    return best("amin", np.minimum, x, dim, keepdim)


@amin.vjp
def amin(residuals, g):
    return best_vjp(residuals, g)


@op(constant=True)
def argmax(x, dim=None, keepdim=False):
    """Place of the (first) largest element: in the flat tensor, or along one dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.argmax(nb.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return place("argmax", np.argmax, x, dim, keepdim), None


@op(constant=True)
def argmin(x, dim=None, keepdim=False):
    """Place of the (first) smallest element: in the flat tensor, or along one dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.argmin(nb.tensor([4.0, 2.0, 3.0]))
    tensor(1)
    """
    return place("argmin", np.argmin, x, dim, keepdim), None


def place(name: str, search: Any, x: np.ndarray, dim: int | None, keepdim: bool) -> np.ndarray:
    axis = None if dim is None else dim_of(dim, x.ndim)
    no_elements(name, x, tuple(range(x.ndim)) if axis is None else (axis,) if x.ndim else ())
    if x.ndim == 0:
        return np.zeros((), np.int64)
    return np.asarray(search(x, axis, keepdims=keepdim and axis is not None), np.int64)


@op
def take_along(x, indices, axis, keepdim):
    """The elements of x at `indices` (kept dimensions) along an axis: values of max and min."""
    y = np.take_along_axis(x, indices, axis)
    return y if keepdim else y.squeeze(axis), (x.shape, indices, axis)


@take_along.vjp
def take_along(residuals, g):
    shape, indices, axis = residuals
    x_bar = empty(shape, g.dtype)
    x_bar.fill(0)
    np.put_along_axis(x_bar, indices, g.reshape(indices.shape), axis)
    return (x_bar,)


def along(x: Any, dim: int, keepdim: bool, search: Any) -> Extremum:
    if x.ndim == 0:
        return Extremum(x, search(x))
    axis = dim_of(dim, x.ndim)
    indices = search(x, axis, True)
    values = take_along(x, indices, axis, keepdim)
    if not keepdim:
        indices.data = indices.data.squeeze(axis)
    return Extremum(values, indices)


def max(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; along one dimension also its place; of two tensors, the larger.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int or Tensor, optional
        A dimension, or a second tensor.
    keepdim : bool
        Keep the dimension with length 1.

    Returns
    -------
    Tensor or (values, indices)

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.max(nb.tensor([[1.0, 5.0], [3.0, 2.0]]))
    tensor(5.)
    >>> nb.max(nb.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=0).indices
    tensor([1, 0])
    """
    return amax(x) if dim is None else along(x, dim, keepdim, argmax)


def min(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; along one dimension also its place.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.min(nb.tensor([4.0, 2.0]), dim=0).values
    tensor(2.)
    """
    return amin(x) if dim is None else along(x, dim, keepdim, argmin)


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


def var(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Any:
    """Mean square distance from the mean; divided by n - 1 if `unbiased`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.var(nb.tensor([1.0, 3.0]))
    tensor(2.)
    """
    axes = axes_of(dim, x.ndim)
    n = int(np.prod([x.data.shape[axis] for axis in axes]))
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
