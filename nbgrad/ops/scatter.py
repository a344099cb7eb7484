"""Copies with other values at some places: scatter, scatter_add, index_add, index_copy, index_fill, masked_scatter.

All of them are one of two operations, which take an index as x[...] does: `put` writes the values, `put_added` adds them.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.broadcast import form_of, unbroadcast, unbroadcast_tensor
from nbgrad.ops.dims import dim_of
from nbgrad.ops.index import grid, indexed, plain_index


@op(inputs=2)
def put(x, value, index, needs):
    """A copy of x with x[index] = value."""
    y = np.array(x)
    y[index] = value
    return y, (index, form_of(value, needs[1]), needs[0])


@put.vjp
def put(residuals, g):
    return put_back(residuals, g)


@put.double()
def put(residuals, g):
    return put_double(residuals, g)


def put_back(residuals: Any, g: np.ndarray) -> tuple:
    """x_bar = g, but 0 at the index; value_bar = g[index]."""
    index, form, needed = residuals
    x_bar = None
    if needed:
        x_bar = g.copy()
        x_bar[index] = 0
    return x_bar, unbroadcast(np.asarray(g[index]), form)


def put_double(residuals: Any, g: Any) -> tuple:
    """`put_back` over tensors."""
    index, form, needed = residuals
    mask = np.zeros(g.shape, bool)
    mask[index] = True
    x_bar = g.masked_fill(Tensor(mask), 0) if needed else None
    return x_bar, unbroadcast_tensor(indexed(g, index), form)


@op(inputs=2)
def put_added(x, value, index, needs):
    """A copy of x with `value` added at an index; a place that is named twice gets both."""
    y = np.array(x)
    np.add.at(y, index, value)
    return y, (index, form_of(value, needs[1]))


@put_added.vjp
def put_added(residuals, g):
    index, form = residuals
    return g, unbroadcast(np.asarray(g[index]), form)


@put_added.double()
def put_added(residuals, g):
    index, form = residuals
    return g, unbroadcast_tensor(indexed(g, index), form)


def index_put(x: Tensor, indices: tuple, values: Any, accumulate: bool = False) -> Tensor:
    """A copy of x with x[indices] = values, or += if `accumulate`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.index_put(nb.zeros(3), (nb.tensor([0, 0]),), nb.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    return (put_added if accumulate else put)(x, values, plain_index(tuple(indices)))


def places_of(name: str, x: Tensor, dim: int, index: Tensor, src: Any) -> tuple[tuple, Any]:
    """The places that `index` names along a dimension, and the part of `src` that goes there."""
    n = src.ndim if isinstance(src, Tensor) else 0
    if index.ndim != x.ndim or n not in (0, x.ndim):
        raise ShapeError(
            f"{name}: Index tensor must have the same number of dimensions as self tensor and src: {tuple(index.shape)}, "
            f"{tuple(x.shape)} and {tuple(getattr(src, 'shape', ()))}"
        )
    if n and src.shape != index.shape:
        if any(have < want for have, want in zip(src.shape, index.shape)):
            raise ShapeError(
                f"{name}: Expected index {list(index.shape)} to be no larger than src {list(src.shape)} in any dimension"
            )
        src = src[tuple([slice(length) for length in index.shape])]
    return grid(index.array, dim_of(dim, x.ndim)), src


def scatter(x: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None) -> Tensor:
    """A copy of x with y[index[i][j]][j] = src[i][j] for dim 0, and so on for other dimensions.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int
        Along which to write.
    index : Tensor of int64
        As many dimensions as `x`, each at most as large as that of `src`; each place should be named once.
    src : Tensor or number
        What to write; a number may also be given as `value`.

    Raises
    ------
    ShapeError
        If dimensions don't match.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.scatter(nb.zeros(2, 3), 1, nb.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    places, src = places_of("scatter", x, dim, index, value if src is None else src)
    return put(x, src, places)


def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """As `scatter`, but what goes to one place is added up, and to what was there.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.scatter_add(nb.zeros(3), 0, nb.tensor([1, 1]), nb.tensor([2.0, 3.0]))
    tensor([0., 5., 0.])
    """
    places, src = places_of("scatter_add", x, dim, index, src)
    return put_added(x, src, places)


def slices(x: Tensor, dim: int, index: Tensor) -> tuple:
    """The index of slices of x along a dimension."""
    return (*[slice(None)] * dim_of(dim, x.ndim), index.array.reshape(-1))


def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy of x with slices of `source`, times alpha, added to the slices of x that `index` names.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.index_add(nb.zeros(3), 0, nb.tensor([1, 1]), nb.tensor([2.0, 3.0]))
    tensor([0., 5., 0.])
    """
    return put_added(x, source if alpha == 1 else source * alpha, slices(x, dim, index))


def index_copy(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of x with slices of `source` in place of those that `index` names.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.index_copy(nb.zeros(3), 0, nb.tensor([2]), nb.tensor([5.0]))
    tensor([0., 0., 5.])
    """
    return put(x, source, slices(x, dim, index))


def index_fill(x: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of x with a number in the slices that `index` names.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.index_fill(nb.zeros(3), 0, nb.tensor([0, 2]), 5.0)
    tensor([5., 0., 5.])
    """
    return put(x, value, slices(x, dim, index))


def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of x with elements of `source`, in order, where the mask holds.

    Raises
    ------
    ShapeError
        If `source` has too few elements.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.masked_scatter(nb.zeros(3), nb.tensor([True, False, True]), nb.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 2.])
    """
    held = np.broadcast_to(mask.array, x.array.shape)
    n = int(np.count_nonzero(held))
    if source.numel() < n:
        raise ShapeError(
            f"masked_scatter: the mask holds at {n} places, but the number of elements of source is {source.numel()}"
        )
    return put(x, source.reshape(-1)[:n], held)
