"""The same elements in other places: flip, roll, tile, repeat, triangles and diagonals."""

from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.errors import ShapeError
from nbgrad.ops.dims import axes_of, dim_of, ints_of
from nbgrad.ops.index import index_select
from nbgrad.ops.shape import expand, permute, reshape


@op
def flipped(x, axes):
    """x backwards along axes, a copy."""
    return np.array(np.flip(x, axes)), (axes,)


@flipped.vjp
def flipped(residuals, g):
    return (np.flip(g, residuals[0]),)


@flipped.double()
def flipped(residuals, g):
    return (flipped(g, residuals[0]),)


def flip(x: Any, *dims: Any) -> Any:
    """Dimensions backwards.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.flip(nb.arange(3), [0])
    tensor([2, 1, 0])
    """
    return flipped(x, axes_of(ints_of(dims), x.ndim))


def fliplr(x: Any) -> Any:
    """The columns of a matrix backwards."""
    return flipped(x, (1,))


def flipud(x: Any) -> Any:
    """The rows of a matrix backwards."""
    return flipped(x, (0,))


def rot90(x: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """x turned by 90 degrees, k times, from the first dimension towards the second.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.rot90(nb.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    a, b = (dim_of(d, x.ndim) for d in dims)
    turns = k % 4
    if turns == 0:
        return x.clone()
    if turns == 2:
        return flipped(x, (a, b))
    swapped = x.transpose(a, b)
    return flipped(swapped, (a,) if turns == 1 else (b,))


@op
def rolled(x, shifts, axes):
    """x moved along axes; what leaves at one end comes in at the other."""
    return np.roll(x, shifts, axes), (shifts, axes)


@rolled.vjp
def rolled(residuals, g):
    shifts, axes = residuals
    return (np.roll(g, tuple([-s for s in shifts]), axes),)


@rolled.double()
def rolled(residuals, g):
    shifts, axes = residuals
    return (rolled(g, tuple([-s for s in shifts]), axes),)


def roll(x: Any, shifts: Any, dims: Any = None) -> Any:
    """Elements moved along dimensions; what leaves at one end comes in at the other.

    Parameters
    ----------
    x : Tensor
        Values.
    shifts : int or tuple of int
        By how many places, per dimension.
    dims : int or tuple of int, optional
        Dimensions; without them the flat tensor is rolled.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.roll(nb.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    steps = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        return reshape(rolled(reshape(x, -1), steps, (0,)), tuple(x.shape))
    axes = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(axes) != len(steps):
        raise ShapeError(
            f"roll: shifts and dimensions must align. shifts: {len(steps)}, dims: {len(axes)}"
        )
    return rolled(x, steps, tuple([dim_of(d, x.ndim) for d in axes]))


def repeat(x: Any, *sizes: Any) -> Any:
    """x written side by side, so many times along each dimension; new dimensions stand in front.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    counts = ints_of(sizes)
    if len(counts) < x.ndim:
        raise ShapeError(
            f"repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: "
            f"{counts} for shape {tuple(x.shape)}"
        )
    shape = (*[1] * (len(counts) - x.ndim), *x.shape)
    # (a, b) becomes (1, a, 1, b), is expanded to (m, a, n, b), and that is reshaped to (m a, n b).
    apart = [n for length in shape for n in (1, length)]
    wide = [n for count, length in zip(counts, shape) for n in (count, length)]
    joined = [count * length for count, length in zip(counts, shape)]
    return reshape(expand(reshape(x, tuple(apart)), tuple(wide)), tuple(joined))


def tile(x: Any, *dims: Any) -> Any:
    """As `repeat`, but fewer counts than dimensions are allowed: the first dimensions then stay.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tile(nb.tensor([[1], [2]]), (2,))
    tensor([[1, 1],
            [2, 2]])
    """
    counts = ints_of(dims)
    return repeat(x, (*[1] * (x.ndim - len(counts)), *counts))


def repeat_interleave(x: Any, repeats: Any, dim: int | None = None) -> Any:
    """Each slice along a dimension so many times, one after the other; without `dim` of the flat tensor.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.repeat_interleave(nb.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if dim is None:
        x, dim = reshape(x, -1), 0
    n = x.shape[dim_of(dim, x.ndim)]
    counts = repeats if isinstance(repeats, int) else np.asarray(getattr(repeats, "array", repeats))
    return index_select(x, dim, np.repeat(np.arange(n), counts))


@op
def tril(x, diagonal=0):
    """The elements on and below a diagonal, 0 above it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tril(nb.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    need_matrix("tril", x)
    return np.tril(x, diagonal), (diagonal,)


@tril.vjp
def tril(residuals, g):
    return (np.tril(g, residuals[0]),)


@tril.double()
def tril(residuals, g):
    return (tril(g, residuals[0]),)


@op
def triu(x, diagonal=0):
    """The elements on and above a diagonal, 0 below it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.triu(nb.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    need_matrix("triu", x)
    return np.triu(x, diagonal), (diagonal,)


@triu.vjp
def triu(residuals, g):
    return (np.triu(g, residuals[0]),)


@triu.double()
def triu(residuals, g):
    return (triu(g, residuals[0]),)


def need_matrix(name: str, x: Any) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: input tensor must have at least 2 dimensions, got {x.ndim}")


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The elements of a diagonal of two dimensions, as a last dimension, a view.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.diagonal(nb.arange(4).reshape(2, 2))
    tensor([0, 3])
    """
    a, b = dim_of(dim1, x.ndim), dim_of(dim2, x.ndim)
    if a == b:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    others = [d for d in range(x.ndim) if d not in (a, b)]
    return diagonal_of(permute(x, (*others, a, b)), offset)


@op(view=True)
def diagonal_of(x, offset):
    """A diagonal of the last two dimensions."""
    y = x.diagonal(offset, -2, -1)
    y.flags.writeable = x.flags.writeable  # NumPy's is read-only
    return y, (x.shape, offset)


@diagonal_of.vjp
def diagonal_of(residuals, g):
    return (on_diagonal(g, *residuals),)


@diagonal_of.double()
def diagonal_of(residuals, g):
    return (diagonal_filled(g, *residuals),)


def on_diagonal(x: np.ndarray, shape: tuple, offset: int) -> np.ndarray:
    """Zeros, but for a diagonal of the last two dimensions."""
    y = np.zeros(shape, x.dtype)
    rows = np.arange(x.shape[-1]) + max(-offset, 0)
    y[..., rows, rows + offset] = x
    return y


@op
def diagonal_filled(x, shape, offset):
    """`on_diagonal`, differentiable."""
    return on_diagonal(x, shape, offset), (offset,)


@diagonal_filled.vjp
def diagonal_filled(residuals, g):
    return (g.diagonal(residuals[0], -2, -1),)


@diagonal_filled.double()
def diagonal_filled(residuals, g):
    return (diagonal_of(g, residuals[0]),)


def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices that have the last dimension of x on a diagonal, and are 0 elsewhere.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.diag_embed(nb.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    n = x.shape[-1] + abs(offset)
    y = diagonal_filled(x, (*x.shape[:-1], n, n), offset)
    a, b = dim_of(dim1, y.ndim), dim_of(dim2, y.ndim)
    if (a, b) == (y.ndim - 2, y.ndim - 1):
        return y
    order: list[int] = list(range(y.ndim - 2))
    for place, axis in sorted([(a, y.ndim - 2), (b, y.ndim - 1)]):
        order.insert(place, axis)
    return permute(y, order)


def diag(x: Any, diagonal: int = 0) -> Any:
    """Of a vector the matrix with it on a diagonal; of a matrix a diagonal.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.diag(nb.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim == 2:
        return diagonal_of(x, diagonal)
    raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {x.ndim}D")


def trace(x: Any) -> Any:
    """Sum of the diagonal of a matrix.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.trace(nb.eye(3))
    tensor(3.)
    """
    if x.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, but got tensor with dim {x.ndim}")
    return diagonal_of(x, 0).sum()
