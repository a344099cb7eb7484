"""Other shapes for the same elements: results are views wherever NumPy can make one."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import ShapeError
from nbgrad.ops.broadcast import unbroadcast, unbroadcast_tensor
from nbgrad.ops.dims import axes_of, dim_of, ints_of


@op(view=True)
def reshaped(x, shape):
    """x in another shape, a view if its layout allows."""
    try:
        return x.reshape(shape), (x.shape,)
    except ValueError:
        raise ShapeError(
            f"shape '{list(shape)}' is invalid for input of size {x.size}: a tensor of shape {x.shape} has that many "
            f"elements, and the product of the new lengths must be the same"
        ) from None


@reshaped.vjp
def reshaped(residuals, g):
    return (g.reshape(residuals[0]),)


@reshaped.double()
def reshaped(residuals, g):
    return (g.reshape(residuals[0]),)


def reshape(x: Any, *shape: Any) -> Any:
    """The same elements in another shape; one length may be -1, to be computed.

    Parameters
    ----------
    x : Tensor
        Values.
    *shape : int or tuple of int
        Lengths.

    Raises
    ------
    ShapeError
        If the number of elements differs.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.reshape(nb.arange(4), (2, -1))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshaped(x, ints_of(shape))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions `start_dim` to `end_dim` made one.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.flatten(nb.zeros(2, 3, 4), 1).shape
    Size([2, 12])
    """
    shape = x.array.shape
    if not shape:
        return reshaped(x, (1,))
    start, end = dim_of(start_dim, len(shape)), dim_of(end_dim, len(shape))
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    n = int(np.prod(shape[start : end + 1]))
    return reshaped(x, (*shape[:start], n, *shape[end + 1 :]))


@op(view=True)
def permuted(x, axes):
    """x with its dimensions in another order, a view."""
    return x.transpose(axes), (axes,)


@permuted.vjp
def permuted(residuals, g):
    (axes,) = residuals
    return (g.transpose(tuple(np.argsort(axes).tolist())),)


@permuted.double()
def permuted(residuals, g):
    (axes,) = residuals
    return (g.permute(tuple(np.argsort(axes).tolist())),)


def permute(x: Any, *dims: Any) -> Any:
    """Dimensions in another order.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.permute(nb.zeros(2, 3, 4), (2, 0, 1)).shape
    Size([4, 2, 3])
    """
    order = ints_of(dims)
    axes = axes_of(order, x.ndim) if order else ()
    if len(axes) != x.ndim:
        raise ShapeError(
            f"permute(dims): the tensor has {x.ndim} dimensions and {len(order)} are named ({order}); name each once"
        )
    return permuted(x, axes)


def transpose(x: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.transpose(nb.zeros(2, 3), 0, 1).shape
    Size([3, 2])
    """
    axes = list(range(x.ndim))
    a, b = dim_of(dim0, x.ndim), dim_of(dim1, x.ndim)
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return permuted(x, tuple(axes))


def t(x: Any) -> Any:
    """The transpose of a matrix; vectors stay as they are.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.t(nb.tensor([[1, 2]]))
    tensor([[1],
            [2]])
    """
    if x.ndim > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {x.ndim}D")
    return permuted(x, tuple(range(x.ndim))[::-1])


def unsqueeze(x: Any, dim: int) -> Any:
    """One more dimension, of length 1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.unsqueeze(nb.zeros(3), 0).shape
    Size([1, 3])
    """
    shape = x.array.shape
    axis = dim_of(dim, len(shape) + 1)
    return reshaped(x, (*shape[:axis], 1, *shape[axis:]))


def squeeze(x: Any, dim: Any = None) -> Any:
    """Without dimensions of length 1: all, or the named ones.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.squeeze(nb.zeros(1, 3, 1)).shape
    Size([3])
    """
    shape = x.array.shape
    gone = [axis for axis in axes_of(dim, len(shape)) if shape[axis] == 1]
    return reshaped(x, tuple([n for axis, n in enumerate(shape) if axis not in gone]))


@op(view=True)
def expanded(x, shape):
    """x repeated along dimensions of length 1 without a copy: a read-only view."""
    return np.broadcast_to(x, shape), (x.shape, x.dtype)


@expanded.vjp
def expanded(residuals, g):
    return (unbroadcast(g, residuals),)


@expanded.double()
def expanded(residuals, g):
    return (unbroadcast_tensor(g, residuals),)


def expand(x: Any, *sizes: Any) -> Any:
    """Dimensions of length 1 repeated, without a copy; -1 keeps a length.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tensor([[1], [2]]).expand(-1, 2)
    tensor([[1, 1],
            [2, 2]])
    """
    shape, old = list(ints_of(sizes)), x.array.shape
    lead = len(shape) - len(old)
    for axis, n in enumerate(shape):
        before = old[axis - lead] if axis >= lead else 1
        if n == -1 and axis >= lead:
            shape[axis] = before
        elif lead < 0 or n < 0 or before not in (1, n):
            break
    else:
        if lead >= 0:
            return expanded(x, tuple(shape))
    raise ShapeError(
        f"expand: the expanded size {tuple(shape)} must match the existing size {old} in every dimension that is "
        f"not 1; new dimensions stand in front"
    )


@op
def clone(x):
    """A copy.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.zeros(2)
    >>> x.clone().array is x.array
    False
    """
    y = empty(x.shape, x.dtype)
    np.copyto(y, x)
    return y, None


@clone.vjp
def clone(residuals, g):
    return (g,)


@clone.double()
def clone(residuals, g):
    return (g,)


def contiguous(x: Any) -> Any:
    """x itself if its elements lie in order, else a copy in which they do."""
    return x if x.array.flags.c_contiguous else clone(x)
