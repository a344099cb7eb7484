"""Matrix products, by NumPy's BLAS: no operand is copied to transpose it."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops.broadcast import unbroadcast, unbroadcast_tensor


def check_operands(name: str, x: np.ndarray, y: np.ndarray) -> None:
    """Refuse mixed dtypes and lengths that do not fit."""
    if x.dtype != y.dtype:
        raise DtypeError(
            f"{name}: expected both operands to have the same dtype, but got {x.dtype} and {y.dtype}; "
            f"convert one with .to(...)"
        )
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(
            f"{name}: both arguments need to be at least 1D, but they are {x.ndim}D and {y.ndim}D"
        )
    inner = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != inner:
        raise ShapeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, x.shape))} and "
            f"{'x'.join(map(str, y.shape))}): {x.shape[-1]} columns meet {inner} rows"
        )


@op(inputs=2)
def matmul(x, y, needs):
    """Matrix product; vectors, matrices and batches of matrices.

    Parameters
    ----------
    x : Tensor, shape (..., m, k) or (k,)
        Left operand.
    y : Tensor, shape (..., k, n) or (k,)
        Right operand.  Leading dimensions are broadcast.

    Returns
    -------
    Tensor, shape (..., m, n)
        Without m or n where an operand was a vector.

    Raises
    ------
    ShapeError
        If the inner lengths differ.
    DtypeError
        If the dtypes differ.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.matmul(nb.tensor([[1.0, 2.0]]), nb.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    check_operands("matmul", x, y)
    residuals = (
        x if needs[1] else None,
        y if needs[0] else None,
        (x.shape, x.dtype),
        (y.shape, y.dtype),
    )
    try:
        return product(x, y), residuals
    except ValueError:
        raise ShapeError(
            f"matmul: leading dimensions of shapes {x.shape} and {y.shape} can't be broadcast together"
        ) from None


def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x @ y in a buffer of ours where the shape is plain."""
    if x.ndim == 2 and y.ndim == 2:
        return np.matmul(x, y, out=empty((x.shape[0], y.shape[1]), x.dtype))
    if x.ndim > 2 and x.ndim == y.ndim and x.shape[:-2] == y.shape[:-2]:
        return np.matmul(x, y, out=empty((*x.shape[:-1], y.shape[-1]), x.dtype))
    return np.asarray(np.matmul(x, y))


@matmul.vjp
def matmul(residuals, g):
    # x_bar = g y^T, y_bar = x^T g
    x, y, x_form, y_form = residuals
    (x_shape, _), (y_shape, _) = x_form, y_form
    x_vector, y_vector = len(x_shape) == 1, len(y_shape) == 1
    # Vectors become matrices of one row or column.
    if x_vector:
        g = g[..., None, :] if not y_vector else g[..., None]
    if y_vector:
        g = g[..., None]
    x_bar = y_bar = None
    if y is not None:
        right = y[:, None] if y_vector else y
        x_bar = product(g, right.swapaxes(-1, -2))
        x_bar = x_bar.reshape(x_shape) if x_vector and x_bar.ndim == 2 else x_bar
        if x_vector and x_bar.ndim > 2:
            x_bar = x_bar.reshape(-1, x_shape[0]).sum(0)
        x_bar = unbroadcast(x_bar, x_form)
    if x is not None:
        left = x[None, :] if x_vector else x
        if len(y_shape) <= 2 and left.ndim > 2:  # one matrix for the whole batch: one product
            flat = left.reshape(-1, left.shape[-1])
            y_bar = product(flat.swapaxes(0, 1), g.reshape(-1, g.shape[-1])).reshape(y_shape)
        else:
            y_bar = product(left.swapaxes(-1, -2), g)
            y_bar = y_bar[..., 0] if y_vector else y_bar
            y_bar = unbroadcast(y_bar, y_form)
    return x_bar, y_bar


@matmul.double("0 1")
def matmul(residuals, g):
    x, y, x_form, y_form = residuals
    x_vector, y_vector = len(x_form[0]) == 1, len(y_form[0]) == 1
    x_bar = y_bar = None
    if y_vector:
        column = g.unsqueeze(-1)  # (..., m, 1), or (1,) for two vectors
        x_bar = None if y is None else column * y
        y_bar = None if x is None else column * x
    elif x_vector:
        x_bar = None if y is None else (y @ g.unsqueeze(-1)).squeeze(-1)
        y_bar = None if x is None else x.unsqueeze(-1) * g.unsqueeze(-2)
    else:
        x_bar = None if y is None else g @ y.mT
        y_bar = None if x is None else x.mT @ g
    return (
        None if x_bar is None else unbroadcast_tensor(x_bar, x_form),
        None if y_bar is None else unbroadcast_tensor(y_bar, y_form),
    )


def mm(x: Any, y: Any) -> Any:
    """Product of two matrices.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.mm(nb.eye(2), nb.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    return with_ndim("mm", x, y, 2, 2)


def bmm(x: Any, y: Any) -> Any:
    """Products of two batches of matrices.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.bmm(nb.ones(5, 2, 3), nb.ones(5, 3, 1)).shape
    Size([5, 2, 1])
    """
    if x.ndim == 3 and y.ndim == 3 and len(x) != len(y):
        raise ShapeError(f"bmm: batches of {len(x)} and {len(y)} matrices; they must be equal")
    return with_ndim("bmm", x, y, 3, 3)


def mv(x: Any, y: Any) -> Any:
    """Product of a matrix and a vector.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.mv(nb.eye(2), nb.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return with_ndim("mv", x, y, 2, 1)


def dot(x: Any, y: Any) -> Any:
    """Sum of the products of two vectors.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.dot(nb.tensor([1.0, 2.0]), nb.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return with_ndim("dot", x, y, 1, 1)


def with_ndim(name: str, x: Any, y: Any, x_ndim: int, y_ndim: int) -> Any:
    if x.ndim != x_ndim or y.ndim != y_ndim:
        raise ShapeError(
            f"{name}: expected a {x_ndim}D and a {y_ndim}D tensor, got shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    return matmul(x, y)
