"""Tensors joined along a dimension, and one tensor cut into pieces."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.dims import dim_of
from nbgrad.ops.shape import reshaped, unsqueeze


@op(inputs="sequence")
def joined(tensors, axis):
    """Tensors one after another along an axis."""
    shape = list(tensors[0].shape)
    for part in tensors:
        here, first = list(part.shape), list(shape)
        if len(here) == len(first):
            here[axis] = first[axis] = 0
        if here != first:
            raise ShapeError(
                f"Sizes of tensors must match except in dimension {axis}; got shapes "
                f"{', '.join(str(part.shape) for part in tensors)}"
            )
    shape[axis] = sum(part.shape[axis] for part in tensors)
    kind = np.result_type(*[part.dtype for part in tensors])
    y = np.concatenate(tensors, axis, out=empty(tuple(shape), kind))
    return y, ([part.shape[axis] for part in tensors], [part.dtype for part in tensors], axis)


@joined.vjp
def joined(residuals, g):
    lengths, kinds, axis = residuals
    parts = np.split(g, np.cumsum(lengths)[:-1], axis)
    return tuple([part.astype(kind, copy=False) for part, kind in zip(parts, kinds)])


@joined.double()
def joined(residuals, g):
    lengths, kinds, axis = residuals
    return [part.to(kind) for part, kind in zip(pieces(g, lengths, axis), kinds)]


def cat(tensors: Any, dim: int = 0) -> Any:
    """Tensors one after another along a dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Equal shapes, except along `dim`.
    dim : int
        Where to join.

    Raises
    ------
    ShapeError
        If the other lengths differ, or there is no tensor.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cat([nb.ones(2), nb.zeros(1)])
    tensor([1., 1., 0.])
    """
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("cat(): expected a non-empty list of Tensors")
    # PyTorch skips empty vectors whatever the shape of the others; lists start as such.
    whole = [x for x in tensors if x.array.shape != (0,)] or tensors
    if whole[0].ndim == 0:
        raise ShapeError("zero-dimensional tensor cannot be concatenated; use stack")
    return joined(whole, dim_of(dim, whole[0].ndim))


concat = concatenate = cat


def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors of one shape side by side along a new dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.stack([nb.zeros(2), nb.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("stack expects a non-empty TensorList")
    shapes = {x.array.shape for x in tensors}
    if len(shapes) > 1:
        raise ShapeError(f"stack expects each tensor to be equal size, but got {sorted(shapes)}")
    return joined([unsqueeze(x, dim) for x in tensors], dim_of(dim, tensors[0].ndim + 1))


@op(many=True, view=True)
def pieces(x, lengths, axis):
    """x cut along an axis into views of the given lengths."""
    parts = np.split(x, np.cumsum(lengths)[:-1], axis)
    return tuple(parts), (lengths, axis, x.shape, x.dtype)


@pieces.vjp
def pieces(residuals, g):
    lengths, axis, shape, dtype = residuals
    x_bar = empty(shape, dtype)
    for part, given in zip(np.split(x_bar, np.cumsum(lengths)[:-1], axis), g):
        part[...] = 0 if given is None else given
    return (x_bar,)


@pieces.double()
def pieces(residuals, g):
    lengths, axis, shape, dtype = residuals
    parts = []
    for length, part in zip(lengths, g):
        zeros = np.zeros((*shape[:axis], length, *shape[axis + 1 :]), dtype)
        parts.append(Tensor(zeros) if part is None else part)
    return (joined(parts, axis),)


def split(x: Any, split_size: Any, dim: int = 0) -> tuple:
    """Pieces of one length (the last may be shorter), or of given lengths, along a dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> [p.tolist() for p in nb.split(nb.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    axis = dim_of(dim, x.ndim)
    n = x.array.shape[axis]
    if isinstance(split_size, int):
        if split_size < 1:
            raise ShapeError(f"split expects split_size to be positive, got {split_size}")
        count = max(1, -(-n // split_size))
        lengths = [split_size] * (count - 1)
        lengths.append(n - sum(lengths))
    else:
        lengths = list(split_size)
        if sum(lengths) != n:
            raise ShapeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (the length of dimension {dim}), but got "
                f"{lengths}"
            )
    return pieces(x, lengths, axis)


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple:
    """At most `chunks` pieces of equal length (the last may be shorter) along a dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> [p.tolist() for p in nb.chunk(nb.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    n = x.array.shape[dim_of(dim, x.ndim)]
    return split(x, max(1, -(-n // chunks)), dim)


def unbind(x: Any, dim: int = 0) -> tuple:
    """All slices along a dimension, without it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> [p.tolist() for p in nb.unbind(nb.eye(2))]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    axis = dim_of(dim, x.ndim)
    shape = x.array.shape
    if shape[axis] == 0:
        return ()
    rest = (*shape[:axis], *shape[axis + 1 :])
    return tuple([reshaped(part, rest) for part in split(x, 1, axis)])
