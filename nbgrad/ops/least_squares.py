"""qr, pinv and lstsq: matrices that are not square.

The last two dimensions are the matrix, those before are a batch; NumPy's LAPACK computes.
"""

from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.factorize import as_in, inverse_of
from nbgrad.ops.join import cat
from nbgrad.ops.pointwise import floats
from nbgrad.ops.reduce import sum


class Triangular(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


@op(many=True)
def tall_qr(A):
    """Q and R of matrices with at least as many rows as columns."""
    q, r = np.linalg.qr(floats(A))
    return (q, r), (q, r)


@tall_qr.vjp
def tall_qr(residuals, g):
    return qr_bar(*residuals, *g)


@tall_qr.double("y0 y1")
def tall_qr(residuals, g):
    return qr_bar(*residuals, *g)


def qr_bar(q: Any, r: Any, q_bar: Any, r_bar: Any) -> tuple:
    # A_bar = (q_bar + Q sym(M)) R^-T, M = R r_bar^T - q_bar^T Q, of which sym copies the lower half to the upper
    m = 0
    m = m if r_bar is None else r @ r_bar.mT
    m = m if q_bar is None else m - q_bar.mT @ q
    below = as_in(m, np.tri(r.shape[-1], k=-1, dtype=r.dtype))
    low = m * below
    whole = low + low.mT + m * as_in(m, np.eye(r.shape[-1], dtype=r.dtype))
    inside = q @ whole
    return ((inside if q_bar is None else q_bar + inside) @ inverse_of(r).mT,)


def qr(A: Any, mode: str = "reduced") -> Triangular:
    """A = Q R, with orthonormal columns in Q and an upper triangular R.

    Parameters
    ----------
    A : Tensor, shape (..., m, n)
        Floating-point values; gradients need the first min(m, n) columns to be independent.
    mode : {"reduced", "complete", "r"}
        min(m, n) columns of Q; all m; R alone (Q is empty).  Gradients exist in the first.

    Returns
    -------
    (Q, R)

    Raises
    ------
    ShapeError
        If A is no matrix, or a gradient is asked for in another mode.

    References
    ----------
    Walter and Lehmann 2018, Algorithmic differentiation of linear algebra functions with application in optimum experimental
    design.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.qr(nb.tensor([[0.0, 2.0], [3.0, 1.0]])).R.abs()
    tensor([[3., 1.],
            [0., 2.]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    if A.ndim < 2:
        raise ShapeError(
            f"linalg.qr: input must be a matrix or a batch, got shape {tuple(A.shape)}"
        )
    rows, columns = A.shape[-2:]
    if mode == "reduced":
        if rows >= columns:
            return Triangular(*tall_qr(A))
        q, left = tall_qr(A[..., :rows])
        return Triangular(q, cat([left, q.mT @ A[..., rows:]], -1))
    if A.requires_grad:
        raise ShapeError(f"linalg.qr: there is no gradient with mode={mode!r}; use 'reduced'")
    x = floats(A.array)
    if mode == "r":
        r: Any = np.linalg.qr(x, "r")
        return Triangular(Tensor(np.empty(0, x.dtype)), Tensor(r))
    return Triangular(*[Tensor(part) for part in np.linalg.qr(x, "complete")])


@op
def pinv(A, rtol=None):
    """The pseudoinverse of matrices; its gradient holds where the rank does not change.

    Parameters
    ----------
    A : Tensor, shape (..., m, n)
        Floating-point values.
    rtol : float, optional
        Singular values below this part of the largest count as 0; by default max(m, n) times the spacing of 1.

    Returns
    -------
    Tensor, shape (..., n, m)

    References
    ----------
    Golub and Pereyra 1973, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.pinv(nb.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    A = floats(A)
    if A.ndim < 2:
        raise ShapeError(f"linalg.pinv: input must be a matrix or a batch, got shape {A.shape}")
    y = np.linalg.pinv(A, max(A.shape[-2:]) * np.finfo(A.dtype).eps if rtol is None else rtol)
    return y, (A, y)


@pinv.vjp
def pinv(residuals, g):
    a, p = residuals
    return pinv_bar(a, p, g)


@pinv.double("0 y")
def pinv(residuals, g):
    a, p = residuals
    return pinv_bar(a, p, g)


def pinv_bar(a: Any, p: Any, g: Any) -> tuple:
    # A_bar = -P^T g P^T + (1 - A P) g^T P P^T + P^T P g^T (1 - P A)
    t, back = p.mT, g.mT
    one, other = (as_in(a, np.eye(n, dtype=a.dtype)) for n in a.shape[-2:])
    return ((one - a @ p) @ back @ p @ t + t @ p @ back @ (other - p @ a) - t @ g @ t,)


class LeastSquares(NamedTuple):
    """What `lstsq` returns."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """X that makes the norm of A X - B smallest, and of these the smallest.

    Parameters
    ----------
    A : Tensor, shape (..., m, n)
        Floating-point values.
    B : Tensor, shape (..., m, k)
        One problem per column.
    rcond : float, optional
        Singular values below this part of the largest count as 0.
    driver : str, optional
        Accepted; the pseudoinverse serves all.

    Returns
    -------
    (solution, residuals, rank, singular_values)
        Shapes (..., n, k), (..., k), (...), (..., min(m, n)).  Residuals are the sums of squares, empty unless m > n and the
        rank is n.  Gradients flow through the solution and the residuals.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.lstsq(nb.tensor([[1.0], [1.0]]), nb.tensor([[1.0], [3.0]])).residuals
    tensor([2.])
    """
    if B.ndim < 2:
        raise ShapeError(f"linalg.lstsq: B must be a matrix or a batch, got shape {tuple(B.shape)}")
    solution = pinv(A, rcond) @ B
    a = A.detach().array
    values = np.linalg.svd(a, compute_uv=False)
    rank = np.linalg.matrix_rank(a, rtol=rcond)
    rows, columns = A.shape[-2:]
    if rows > columns and np.all(rank == columns):
        away = A @ solution - B
        left: Any = sum(away * away, -2)
    else:
        left = Tensor(np.empty(0, a.dtype))
    return LeastSquares(solution, left, Tensor(np.asarray(rank, np.int64)), Tensor(values))
