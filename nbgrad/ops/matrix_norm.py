"""Norms of vectors and matrices under the names of `linalg`."""

from typing import Any

from nbgrad.errors import ShapeError
from nbgrad.ops.dims import axes_of, dim_of
from nbgrad.ops.factorize import svdvals
from nbgrad.ops.peak import amax, amin
from nbgrad.ops.pointwise import abs
from nbgrad.ops.reduce import norm as norm_of
from nbgrad.ops.reduce import sum
from nbgrad.ops.shape import permute, reshape

INF = float("inf")


def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """(sum of |x|^ord)^(1/ord); the largest |x| for inf, the smallest for -inf, how many are not 0 for 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.vector_norm(nb.tensor([3.0, -4.0]), 1)
    tensor(7.)
    """
    if ord == -INF:
        return amin(abs(x), dim, keepdim)
    if ord == 0:
        return sum((x != 0).to(x.dtype), dim, keepdim)
    return norm_of(x, ord, dim, keepdim)


def matrix_norm(A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    """The norm of matrices.

    Parameters
    ----------
    A : Tensor
        Matrices in two of its dimensions.
    ord : {"fro", "nuc", inf, -inf, 1, -1, 2, -2}
        Frobenius; sum of the singular values; largest or smallest row sum; column sum; singular value.
    dim : pair of int
        Rows and columns.
    keepdim : bool
        Keep both with length 1.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.matrix_norm(nb.tensor([[3.0, 0.0], [0.0, 4.0]]), 2)
    tensor(4.)
    """
    rows, columns = axes_of(tuple(dim), A.ndim)
    shape = tuple([1 if d in (rows, columns) else n for d, n in enumerate(A.shape)])
    others = [d for d in range(A.ndim) if d not in (rows, columns)]
    x = permute(A, (*others, rows, columns))
    if ord == "fro":
        y = norm_of(x, 2.0, (-2, -1))
    elif ord in ("nuc", 2, -2):
        s = svdvals(x)
        y = sum(s, -1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
    elif ord in (1, -1, INF, -INF):
        sums = sum(abs(x), -2 if ord in (1, -1) else -1)
        y = amax(sums, -1) if ord > 0 else amin(sums, -1)
    else:
        raise ValueError(f"linalg.matrix_norm: Order {ord} not supported")
    return reshape(y, shape) if keepdim else y


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    """The norm of vectors or matrices: of matrices where `ord` is a word or two dimensions are named.

    Parameters
    ----------
    A : Tensor
        Values.
    ord : number or str, optional
        As for `vector_norm` or `matrix_norm`; without it the 2-norm of all elements.
    dim : int or pair of int, optional
        One dimension: vectors; two: matrices.
    keepdim : bool
        Keep them with length 1.

    Raises
    ------
    ShapeError
        If `ord` is given without `dim`, and A is neither vector nor matrix.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.norm(nb.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim)
    if dim is None and A.ndim not in (1, 2):
        raise ShapeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D"
        )
    wide = A.ndim == 2 if dim is None else not isinstance(dim, int) and len(tuple(dim)) == 2
    if isinstance(ord, str) or wide:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim)
    return vector_norm(A, ord, None if dim is None else dim_of(dim, A.ndim), keepdim)
