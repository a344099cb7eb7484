"""The largest and the smallest element along dimensions, and their places."""

import builtins
from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.dims import axes_of, dim_of, reduced_shape, spread
from nbgrad.ops.index import grid, spread_out
from nbgrad.ops.shape import squeeze


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
    x, _, axes = residuals
    return (np.multiply(shares(residuals), spread(g, x.shape, axes), out=empty_like(x)),)


def best_double(residuals: Any, g: Tensor) -> tuple:
    """`best_vjp` over tensors: which elements were chosen is a constant."""
    x, _, axes = residuals
    return (spread(g, x.shape, axes) * Tensor(shares(residuals)),)


def shares(residuals: Any) -> np.ndarray:
    """How much of the cotangent each element gets."""
    x, y, axes = residuals
    chosen = x == spread(y, x.shape, axes)
    return np.asarray(chosen / chosen.sum(axes, keepdims=True, dtype=x.dtype), x.dtype)


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


@amax.double()
def amax(residuals, g):
    return best_double(residuals, g)


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


@amin.double()
def amin(residuals, g):
    return best_double(residuals, g)


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


@take_along.double()
def take_along(residuals, g):
    shape, indices, axis = residuals
    return (spread_out(g.reshape(indices.shape), shape, grid(indices, axis)),)


def along(x: Any, dim: int, keepdim: bool, search: Any) -> Extremum:
    if x.ndim == 0:
        return Extremum(x, search(x))
    axis = dim_of(dim, x.ndim)
    indices = search(x, axis, True)
    values = take_along(x, indices, axis, keepdim)
    if not keepdim:
        indices = squeeze(indices, axis)
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
