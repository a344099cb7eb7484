"""Other names and forms of shapes: narrow, select, movedim, unflatten, stacks of rows, columns and depths, meshgrid.

All are compositions of the operations of `shape`, `index` and `join`: views where those are.
"""

from typing import Any

import numpy as np

from nbgrad.errors import ShapeError
from nbgrad.ops.dims import dim_of, ints_of
from nbgrad.ops.index import indexed
from nbgrad.ops.join import cat, split
from nbgrad.ops.shape import expand, flatten, permute, reshape, transpose


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    """`length` elements of a dimension from `start` on, a view.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.narrow(nb.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    axis, start = dim_of(dim, x.ndim), int(start)
    n = x.shape[axis]
    first = start + n if start < 0 else start
    if length < 0 or not 0 <= first <= n - length:
        raise ShapeError(
            f"narrow(): start ({start}) + length ({length}) exceeds dimension size ({n})"
        )
    return indexed(x, (*[slice(None)] * axis, slice(first, first + length)))


def select(x: Any, dim: int, index: int) -> Any:
    """One slice of a dimension, which disappears; a view.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.select(nb.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    axis, place = dim_of(dim, x.ndim), int(index)
    n = x.shape[axis] if x.ndim else 0
    if not -n <= place < n:
        raise IndexError(
            f"select(): index {place} out of range for tensor of size {tuple(x.shape)} at dimension {dim}"
        )
    return indexed(x, (*[slice(None)] * axis, place))


def movedim(x: Any, source: Any, destination: Any) -> Any:
    """Dimensions in other places; those that are not named keep their order.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.movedim(nb.zeros(2, 3, 4), 0, -1).shape
    Size([3, 4, 2])
    """
    a, b = (
        [dim_of(d, x.ndim) for d in (ds if isinstance(ds, tuple | list) else [ds])]
        for ds in (source, destination)
    )
    if len(a) != len(b) or len(set(a)) < len(a) or len(set(b)) < len(b):
        raise ShapeError(
            f"movedim: Invalid source or destination dims: {source} and {destination} must be as many, each named once"
        )
    order = [d for d in range(x.ndim) if d not in a]
    for place, d in sorted(zip(b, a)):
        order.insert(place, d)
    return permute(x, order)


def unflatten(x: Any, dim: int, sizes: Any) -> Any:
    """One dimension made several; one length may be -1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.unflatten(nb.zeros(2, 12), 1, (3, -1)).shape
    Size([2, 3, 4])
    """
    axis = dim_of(dim, x.ndim)
    lengths, n = list(ints_of((sizes,))), x.shape[axis]
    if lengths.count(-1) == 1:
        rest = -int(np.prod(lengths))
        lengths[lengths.index(-1)] = n // rest if rest else 0
    if int(np.prod(lengths)) != n:
        raise ShapeError(
            f"unflatten: Provided sizes {sizes} don't multiply up to the size of dim {dim} ({n}) in the input tensor"
        )
    return reshape(x, (*x.shape[:axis], *lengths, *x.shape[axis + 1 :]))


def ravel(x: Any) -> Any:
    """All elements as a vector.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.ravel(nb.zeros(2, 3)).shape
    Size([6])
    """
    return flatten(x)


def swapaxes(x: Any, axis0: int, axis1: int) -> Any:
    """Two dimensions exchanged.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.swapaxes(nb.zeros(2, 3), 0, 1).shape
    Size([3, 2])
    """
    return transpose(x, axis0, axis1)


swapdims = swapaxes


def broadcast_to(x: Any, size: Any) -> Any:
    """x repeated to a size without a copy.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.broadcast_to(nb.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(x, tuple(size))


def broadcast_tensors(*tensors: Any) -> tuple:
    """Tensors repeated to their common shape without a copy.

    Examples
    --------
    >>> import nbgrad as nb
    >>> [x.shape for x in nb.broadcast_tensors(nb.ones(2, 1), nb.ones(3))]
    [Size([2, 3]), Size([2, 3])]
    """
    try:
        shape = np.broadcast_shapes(*[x.shape for x in tensors])
    except ValueError:
        raise ShapeError(
            f"broadcast_tensors: shapes {[tuple(x.shape) for x in tensors]} can't be broadcast together"
        ) from None
    return tuple([expand(x, shape) for x in tensors])


def at_least(x: Any, ndim: int) -> Any:
    """x with more dimensions of length 1, where NumPy's atleast_1d, _2d and _3d put them."""
    if x.ndim >= ndim:
        return x
    if ndim < 3:
        return reshape(x, (*[1] * (ndim - x.ndim), *x.shape))
    return reshape(at_least(x, 2), (*at_least(x, 2).shape, 1))


def hstack(tensors: Any) -> Any:
    """Tensors side by side: joined along the second dimension, vectors along the first.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.hstack([nb.ones(1), nb.zeros(2)])
    tensor([1., 0., 0.])
    """
    parts = [at_least(x, 1) for x in tensors]
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Any:
    """Tensors one below the other: joined along the first dimension, vectors as rows.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.vstack([nb.ones(2), nb.zeros(2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    return cat([at_least(x, 2) for x in tensors], 0)


def dstack(tensors: Any) -> Any:
    """Tensors behind each other: joined along the third dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.dstack([nb.ones(2), nb.zeros(2)]).shape
    Size([1, 2, 2])
    """
    return cat([at_least(x, 3) for x in tensors], 2)


def tensor_split(x: Any, indices_or_sections: Any, dim: int = 0) -> tuple:
    """Pieces of nearly equal length, or cut at given places, along a dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> [part.tolist() for part in nb.tensor_split(nb.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    axis = dim_of(dim, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count < 1:
            raise ShapeError(f"tensor_split: number of sections must be larger than 0, got {count}")
        lengths = [n // count + (k < n % count) for k in range(count)]
        return split(x, lengths, axis)
    ends = [slice(None, place).indices(n)[1] for place in indices_or_sections]
    cut = [(start, max(start, end)) for start, end in zip([0, *ends], [*ends, n])]
    return tuple([narrow(x, axis, start, end - start) for start, end in cut])


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple:
    """The coordinates of a grid of vectors, each repeated along the other dimensions, without a copy.

    Parameters
    ----------
    *tensors : Tensor
        Vectors or numbers, or one list of them.
    indexing : {"ij", "xy"}
        Whether the first vector runs along the rows, or along the columns, of the grid.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.meshgrid(nb.tensor([1, 2]), nb.tensor([5, 6]))[0]
    tensor([[1, 1],
            [2, 2]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    if any(x.ndim > 1 for x in tensors):
        raise ShapeError("meshgrid: Expected 0D or 1D tensors in the tensor list")
    swap = indexing == "xy" and len(tensors) > 1
    parts = [at_least(x, 1) for x in tensors]
    if swap:
        parts[:2] = parts[1::-1]
    shape = tuple([x.shape[0] for x in parts])
    grid = [
        expand(reshape(x, (*[1] * k, -1, *[1] * (len(parts) - 1 - k))), shape)
        for k, x in enumerate(parts)
    ]
    if swap:
        grid[:2] = grid[1::-1]
    return tuple(grid)
