"""Factorizations of matrices: cholesky, eigh, svd, qr.

The last two dimensions are the matrix, those before are a batch; NumPy's LAPACK computes.  Each VJP is written once, for
arrays and for tensors.  Gradients of eigenvectors and singular vectors exist where their values are distinct, and only of
functions that do not change with the signs of the vectors.
"""

from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import NonFiniteError, ShapeError
from nbgrad.ops.linalg import inv, need_square
from nbgrad.ops.pointwise import floats


def as_in(g: Any, x: np.ndarray) -> Any:
    """A constant beside g: an array beside an array, a tensor beside a tensor."""
    return Tensor(x) if isinstance(g, Tensor) else x


def inverse_of(x: Any) -> Any:
    return inv(x) if isinstance(x, Tensor) else np.linalg.inv(x)


def lower_half(n: int, dtype: np.dtype) -> np.ndarray:
    """1 below the diagonal, 1/2 on it, 0 above."""
    return np.tri(n, k=-1, dtype=dtype) + np.eye(n, dtype=dtype) * dtype.type(0.5)


@op
def cholesky(A, *, upper=False):
    """The lower triangular L with A = L L^T, of symmetric positive definite matrices; its transpose if `upper`.

    Parameters
    ----------
    A : Tensor, shape (..., n, n)
        Only the lower triangle is read; the gradient is symmetric.
    upper : bool
        Return L^T.

    Returns
    -------
    Tensor, shape (..., n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.

    References
    ----------
    Murray 2016, Differentiation of the Cholesky decomposition.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.cholesky(nb.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    need_square("cholesky", A)
    y = np.linalg.cholesky(floats(A))
    y = np.ascontiguousarray(y.mT) if upper else y
    return y, (y, upper)


@cholesky.vjp
def cholesky(residuals, g):
    y, upper = residuals
    return cholesky_bar(y, upper, g)


@cholesky.double("y")
def cholesky(residuals, g):
    y, upper = residuals
    return cholesky_bar(y, upper, g)


def cholesky_bar(y: Any, upper: bool, g: Any) -> tuple:
    # A_bar = sym(L^-T P L^-1), P the lower half of L^T g
    L, g = (y.mT, g.mT) if upper else (y, g)
    back = inverse_of(L)
    half = (L.mT @ g) * as_in(g, lower_half(L.shape[-1], L.dtype))
    a_bar = back.mT @ half @ back
    return ((a_bar + a_bar.mT) * 0.5,)


class Eigen(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


@op(many=True)
def symmetric_eigen(A):
    """Eigenvalues, rising, and eigenvectors of symmetric matrices."""
    w, v = np.linalg.eigh(floats(A))
    return (w, v), (w, v)


@symmetric_eigen.vjp
def symmetric_eigen(residuals, g):
    return eigen_bar(*residuals, *g)


@symmetric_eigen.double("y0 y1")
def symmetric_eigen(residuals, g):
    return eigen_bar(*residuals, *g)


def gaps(name: str, values: Any) -> Any:
    """Differences value_j - value_i, 1 on the diagonal."""
    n = values.shape[-1]
    one = as_in(values, np.eye(n, dtype=values.dtype))
    away = values[..., None, :] - values[..., :, None] + one
    if np.any(np.asarray(away.array if isinstance(away, Tensor) else away) == 0):
        raise NonFiniteError(
            f"linalg.{name}: two values are equal, and then their vectors have no gradient: any rotation of them is as good. "
            f"Use the values alone, or add noise to the matrix"
        )
    return away


def without_diagonal(x: Any) -> Any:
    n = x.shape[-1]
    return x * as_in(x, 1 - np.eye(n, dtype=x.dtype))


def on_diagonal(g: Any, n: int) -> Any:
    """Diagonal matrices."""
    return g[..., None, :] * as_in(g, np.eye(n, dtype=g.dtype))


def eigen_bar(w: Any, v: Any, w_bar: Any, v_bar: Any) -> tuple:
    # A_bar = sym(V (diag(w_bar) + V^T v_bar / (w_j - w_i)) V^T)
    inside = None if w_bar is None else on_diagonal(w_bar, w.shape[-1])
    if v_bar is not None:
        part = without_diagonal((v.mT @ v_bar) / gaps("eigh", w))
        inside = part if inside is None else inside + part
    if inside is None:
        return (None,)
    a_bar = v @ inside @ v.mT
    return ((a_bar + a_bar.mT) * 0.5,)


def eigh(A: Any, UPLO: str = "L") -> Eigen:  # noqa: N803
    """Eigenvalues (rising) and eigenvectors (in columns) of symmetric matrices.

    Parameters
    ----------
    A : Tensor, shape (..., n, n)
        One triangle is read; the gradient is symmetric.
    UPLO : {"L", "U"}
        Which triangle.

    Returns
    -------
    (eigenvalues, eigenvectors)
        Shapes (..., n) and (..., n, n).

    Raises
    ------
    NonFiniteError
        In the backward pass, if eigenvectors have cotangents and two eigenvalues are equal.

    References
    ----------
    Giles 2008, An extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.eigh(nb.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    need_square("eigh", A)
    if UPLO not in ("L", "U"):
        raise ValueError(f"linalg.eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
    return Eigen(*symmetric_eigen(A if UPLO == "L" else A.mT))


def eigvalsh(A: Any, UPLO: str = "L") -> Any:  # noqa: N803
    """The eigenvalues of symmetric matrices, rising.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.eigvalsh(nb.eye(2))
    tensor([1., 1.])
    """
    return eigh(A, UPLO).eigenvalues


class Singular(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


@op(many=True)
def thin_svd(A):
    """U, S, V^T of matrices, with as many vectors as there are values."""
    u, s, vh = np.linalg.svd(floats(A), full_matrices=False)
    return (u, s, vh), (u, s, vh)


@thin_svd.vjp
def thin_svd(residuals, g):
    return svd_bar(*residuals, *g)


@thin_svd.double("y0 y1 y2")
def thin_svd(residuals, g):
    return svd_bar(*residuals, *g)


def svd_bar(u: Any, s: Any, vh: Any, u_bar: Any, s_bar: Any, vh_bar: Any) -> tuple:
    # A_bar = U (skew(U^T u_bar) / E S + S skew(V^T v_bar) / E + diag(s_bar)) V^T, E = s_j^2 - s_i^2, and what of u_bar / S
    # and v_bar / S stands upright on U and V
    k = s.shape[-1]
    inside = None if s_bar is None else on_diagonal(s_bar, k)
    row, column = s[..., None, :], s[..., :, None]
    if u_bar is not None:
        p = u.mT @ u_bar
        part = without_diagonal((p - p.mT) / gaps("svd", s * s)) * row
        inside = part if inside is None else inside + part
    if vh_bar is not None:
        p = vh @ vh_bar.mT
        part = without_diagonal((p - p.mT) / gaps("svd", s * s)) * column
        inside = part if inside is None else inside + part
    if inside is None:
        return (None,)
    a_bar = u @ inside @ vh
    if u_bar is not None and u.shape[-2] > k:
        away = u_bar / row
        a_bar = a_bar + (away - u @ (u.mT @ away)) @ vh
    if vh_bar is not None and vh.shape[-1] > k:
        away = vh_bar / column
        a_bar = a_bar + u @ (away - (away @ vh.mT) @ vh)
    return (a_bar,)


def svd(A: Any, full_matrices: bool = True) -> Singular:
    """Singular values and vectors: A = U diag(S) Vh.

    Parameters
    ----------
    A : Tensor, shape (..., m, n)
        Floating-point values.
    full_matrices : bool
        All m and n vectors; without it, min(m, n) of each.

    Returns
    -------
    (U, S, Vh)
        Values fall.

    Raises
    ------
    ShapeError
        If gradients are asked for with `full_matrices` and m is not n: the additional vectors have none.
    NonFiniteError
        In the backward pass, if vectors have cotangents and two values are equal.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.svd(nb.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    if A.ndim < 2:
        raise ShapeError(
            f"linalg.svd: input must be a matrix or a batch, got shape {tuple(A.shape)}"
        )
    if not full_matrices or A.shape[-1] == A.shape[-2]:
        return Singular(*thin_svd(A))
    if A.requires_grad:
        raise ShapeError(
            f"linalg.svd: the gradient of full_matrices=True is not defined for shape {tuple(A.shape)}, which is not square; "
            f"use full_matrices=False"
        )
    return Singular(*[Tensor(part) for part in np.linalg.svd(floats(A.array))])


def svdvals(A: Any) -> Any:
    """The singular values, falling.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.svdvals(nb.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return svd(A, False).S
