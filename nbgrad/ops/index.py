"""Indexing: x[...], select, narrow, gather, index_select, masked_fill.

Basic indices (integers, slices, None, ...) give views; arrays of integers or booleans give copies.  The way back is
`spread_out`: zeros, with the cotangent added where it was taken from; both are linear, and each is the other's VJP.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.broadcast import form_of, unbroadcast, unbroadcast_tensor
from nbgrad.ops.dims import dim_of

BASIC = (int, slice, type(None), type(Ellipsis), np.integer)


def plain_index(index: Any) -> Any:
    """An index with arrays in place of tensors."""
    if isinstance(index, Tensor):
        data = index.array
        return int(data) if data.ndim == 0 and data.dtype.kind in "iu" else data
    if isinstance(index, tuple):
        return tuple([plain_index(part) for part in index])
    if isinstance(index, list):
        return [plain_index(part) for part in index]
    return index


def is_basic(index: Any) -> bool:
    """Whether an index gives a view, in which no element occurs twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(part, BASIC) and not isinstance(part, bool) for part in parts)


def zeros(shape: tuple, dtype: np.dtype) -> np.ndarray:
    x_bar = empty(shape, dtype)
    x_bar.fill(0)
    return x_bar


@op(view=True)
def indexed(x, index):
    """x[index]."""
    y = x[index]
    if type(y) is not np.ndarray:  # NumPy's scalar is a copy; with ... it is a view
        y = x[(*index, ...) if isinstance(index, tuple) else (index, ...)]
    return y, (x.shape, index)


@indexed.vjp
def indexed(residuals, g):
    shape, index = residuals
    return (added_at(shape, index, g),)


@indexed.double()
def indexed(residuals, g):
    return (spread_out(g, *residuals),)


def added_at(shape: tuple, index: Any, values: np.ndarray) -> np.ndarray:
    """Zeros, with values added at an index; elements that it names twice get the sum of both."""
    total = zeros(shape, values.dtype)
    if is_basic(index):
        total[index] = values
    else:
        np.add.at(total, index, values)
    return total


@op
def spread_out(x, shape, index):
    """`added_at`, differentiable."""
    return added_at(shape, index, x), (index,)


@spread_out.vjp
def spread_out(residuals, g):
    (index,) = residuals
    return (np.asarray(g[index]),)


@spread_out.double()
def spread_out(residuals, g):
    return (indexed(g, *residuals),)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index], NumPy's rules.

    Parameters
    ----------
    x : Tensor
        Values.
    index : int, slice, None, ..., Tensor, list, or a tuple of them
        Integers and slices give a view, tensors of integers or booleans a copy.

    Raises
    ------
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.arange(6).reshape(2, 3)
    >>> x[1, ::2]
    tensor([3, 5])
    >>> x[x > 3]
    tensor([4, 5])
    """
    if index.__class__ is not int:
        index = plain_index(index)
    if x.array.ndim == 0 and isinstance(index, int) and not isinstance(index, bool):
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a Python number"
        )
    return indexed(x, index)


@op
def gather(x, dim, index):
    """y[i][j] = x[index[i][j]][j] for dim 0, and so on for other dimensions.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int
        Along which to look.
    index : Tensor of int64
        As many dimensions as `x`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.gather(nb.tensor([[1, 2], [3, 4]]), 1, nb.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    axis = dim_of(dim, x.ndim)
    places = grid(index, axis)
    return x[places], (x.shape, places)


@gather.vjp
def gather(residuals, g):
    return (added_at(*residuals, g),)


@gather.double()
def gather(residuals, g):
    return (spread_out(g, *residuals),)


def grid(index: np.ndarray, axis: int) -> tuple:
    """Index arrays for all dimensions, `index` itself along one."""
    places: list[Any] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    return tuple(places)


@op
def index_select(x, dim, index):
    """Slices of x along a dimension, at the given places.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.index_select(nb.eye(2), 0, nb.tensor([1, 1]))
    tensor([[0., 1.],
            [0., 1.]])
    """
    axis = dim_of(dim, x.ndim)
    return np.take(x, index, axis), (x.shape, (*[slice(None)] * axis, index))


@index_select.vjp
def index_select(residuals, g):
    return (added_at(*residuals, g),)


@index_select.double()
def index_select(residuals, g):
    return (spread_out(g, *residuals),)


@op
def masked_fill(x, mask, value):
    """x, with `value` where the mask holds.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.ones(2).masked_fill(nb.tensor([True, False]), 0.0)
    tensor([0., 1.])
    """
    y = empty(np.broadcast_shapes(x.shape, mask.shape), x.dtype)
    np.copyto(y, x)
    np.copyto(y, value, where=mask, casting="unsafe")
    return y, (mask, form_of(x, True))


@masked_fill.vjp
def masked_fill(residuals, g):
    mask, form = residuals
    x_bar = empty(g.shape, g.dtype)
    np.copyto(x_bar, g)
    np.copyto(x_bar, 0, where=mask)
    return (unbroadcast(x_bar, form),)


@masked_fill.double()
def masked_fill(residuals, g):
    mask, form = residuals
    return (unbroadcast_tensor(masked_fill(g, mask, 0), form),)


def masked_select(x: Tensor, mask: Tensor) -> Tensor:
    """The elements of x where the mask holds, as a vector.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.masked_select(nb.arange(3), nb.tensor([True, False, True]))
    tensor([0, 2])
    """
    return getitem(x, mask)
