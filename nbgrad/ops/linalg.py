"""Linear algebra of square matrices: inverse, solve, determinants, powers; and chains of products.

The last two dimensions are the matrix, those before are a batch.  NumPy's LAPACK computes.  What a formula needs of arrays
(`@`, `.mT`) tensors have, too, so most VJPs are written once for both.
"""

from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.errors import ShapeError
from nbgrad.ops.creation import eye
from nbgrad.ops.matmul import matmul
from nbgrad.ops.pointwise import floats, log
from nbgrad.ops.scan import product_of_rows
from nbgrad.ops.shape import expand, squeeze, unsqueeze


def need_square(name: str, x: Any) -> None:
    """Refuse what is no batch of square matrices."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"linalg.{name}: A must be batches of square matrices, but its shape is {tuple(x.shape)}"
        )


@op
def inv(A):
    """The inverse of square matrices.

    Parameters
    ----------
    A : Tensor, shape (..., n, n)
        Floating-point values.

    Returns
    -------
    Tensor, shape (..., n, n)

    Raises
    ------
    ShapeError
        If they are not square.
    numpy.linalg.LinAlgError
        If one is singular.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.inv(nb.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    need_square("inv", A)
    y = np.linalg.inv(floats(A))
    return y, (y,)


@inv.vjp
def inv(residuals, g):
    (y,) = residuals
    return inv_bar(y, g)


@inv.double("y")
def inv(residuals, g):
    (y,) = residuals
    return inv_bar(y, g)


def inv_bar(y: Any, g: Any) -> tuple:
    # A_bar = -y^T g y^T
    return (-(y.mT @ g @ y.mT),)


inverse = inv


@op(inputs=2)
def solved_for(A, B):
    """The matrices X with A X = B, of equal batches."""
    x = np.linalg.solve(A, B)
    return x, (A, x)


@solved_for.vjp
def solved_for(residuals, g):
    # B_bar = A^-T g, A_bar = -B_bar X^T
    A, x = residuals
    b_bar = np.linalg.solve(A.mT, g)
    return -(b_bar @ x.mT), b_bar


@solved_for.double("0 y")
def solved_for(residuals, g):
    A, x = residuals
    b_bar = solved_for(A.mT, g)
    return -(b_bar @ x.mT), b_bar


def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """The X with A X = B (or X A = B).

    Parameters
    ----------
    A : Tensor, shape (..., n, n)
        Square matrices.
    B : Tensor, shape (..., n, k), (n,), or (..., n) with the batch of `A`
        Right-hand sides, of the same dtype; batches are broadcast.
    left : bool
        Whether A stands on the left.

    Returns
    -------
    Tensor, shape of `B`, with the batch of both

    Raises
    ------
    ShapeError
        If A is not square, or the shapes do not fit.
    numpy.linalg.LinAlgError
        If A is singular.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.solve(nb.tensor([[2.0, 0.0], [0.0, 4.0]]), nb.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """
    need_square("solve", A)
    if not left:
        return solve(A.mT, B.mT).mT
    is_vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    columns = unsqueeze(B, -1) if is_vector else B
    if columns.shape[-2] != A.shape[-1]:
        raise ShapeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({tuple(A.shape)} and {tuple(B.shape)})"
        )
    batch = np.broadcast_shapes(A.shape[:-2], columns.shape[:-2])
    x = solved_for(
        expand(A, (*batch, *A.shape[-2:])), expand(columns, (*batch, *columns.shape[-2:]))
    )
    return squeeze(x, -1) if is_vector else x


@op
def det(A):
    """The determinant of square matrices.

    Gradients are right for singular matrices, too; gradients of gradients need invertible ones.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.det(nb.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    need_square("det", A)
    x = floats(A)
    y = np.asarray(np.linalg.det(x))
    return y, (x, y)


@det.vjp
def det(residuals, g):
    # A_bar = g cof(A); with A = U S V^T the cofactors are det(U) det(V) U S' V^T, S' the products of all other values of S
    x, _ = residuals
    u, s, vh = np.linalg.svd(x)
    (others,) = product_of_rows.pullback((s,), np.ones(s.shape[:-1], s.dtype))
    sign = np.round(np.linalg.det(u) * np.linalg.det(vh))
    scale = (g * sign)[..., None, None]
    return (np.asarray(scale * ((u * others[..., None, :]) @ vh), x.dtype),)


@det.double("0 y")
def det(residuals, g):
    x, y = residuals
    return ((g * y).unsqueeze(-1).unsqueeze(-1) * inv(x).mT,)


class SignAndLog(NamedTuple):
    """What `slogdet` returns."""

    sign: Any
    logabsdet: Any


@op(many=True)
def sign_and_log(A):
    """Sign and logarithm of the absolute value of determinants."""
    x = floats(A)
    sign, logarithm = np.linalg.slogdet(x)
    return (np.asarray(sign), np.asarray(logarithm)), (x,)


@sign_and_log.vjp
def sign_and_log(residuals, g):
    # A_bar = g A^-T
    (x,) = residuals
    if g[1] is None:
        return (np.zeros_like(x),)
    return (g[1][..., None, None] * np.linalg.inv(x).mT,)


@sign_and_log.double("0")
def sign_and_log(residuals, g):
    (x,) = residuals
    return (None if g[1] is None else g[1].unsqueeze(-1).unsqueeze(-1) * inv(x).mT,)


def slogdet(A: Any) -> SignAndLog:
    """Sign of the determinant, and logarithm of its absolute value: without overflow.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.slogdet(nb.eye(2) * -1.0)
    SignAndLog(sign=tensor(1.), logabsdet=tensor(0.))
    """
    need_square("slogdet", A)
    return SignAndLog(*sign_and_log(A))


def logdet(A: Any) -> Any:
    """The logarithm of the determinant; NaN where that is negative.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.logdet(nb.eye(2))
    tensor(0.)
    """
    sign, logarithm = slogdet(A)
    return logarithm + log(sign.detach())


def matrix_power(A: Any, n: int) -> Any:
    """A multiplied n times with itself; with its inverse if n is negative.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.matrix_power(nb.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    need_square("matrix_power", A)
    if n < 0:
        return matrix_power(inv(A), -n)
    if n == 0:
        return expand(eye(A.shape[-1], dtype=A.dtype), tuple(A.shape)).clone()
    y, square = None, A
    while n:
        if n % 2:
            y = square if y is None else matmul(y, square)
        n //= 2
        if n:
            square = matmul(square, square)
    return y


def multi_dot(tensors: Any) -> Any:
    """The product of a chain of matrices, in the order of the fewest multiplications.

    Parameters
    ----------
    tensors : sequence of Tensor
        Two or more; the first and the last may be vectors.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If there are fewer than two.

    References
    ----------
    Cormen et al. 2009, Introduction to algorithms, section 15.2.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.linalg.multi_dot([nb.ones(2, 3), nb.ones(3, 4), nb.ones(4)])
    tensor([12., 12.])
    """
    parts = list(tensors)
    if len(parts) < 2:
        raise ShapeError(f"multi_dot(): expected at least 2 tensors but got {len(parts)}")
    first, last = parts[0].ndim == 1, parts[-1].ndim == 1
    if first:
        parts[0] = unsqueeze(parts[0], 0)
    if last:
        parts[-1] = unsqueeze(parts[-1], 1)
    if any(part.ndim != 2 for part in parts):
        raise ShapeError("multi_dot(): all tensors but the first and the last must be matrices")
    y = chain(parts, cuts(parts), 0, len(parts) - 1)
    return squeeze(y, tuple([0] * first + [1] * last)) if first or last else y


def cuts(parts: list) -> dict:
    """Where to cut each part of the chain in two."""
    sides = [part.shape[0] for part in parts] + [parts[-1].shape[1]]
    cost = {(i, i): 0 for i in range(len(parts))}
    cut = {}
    for length in range(1, len(parts)):
        for i in range(len(parts) - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sides[i] * sides[k + 1] * sides[j + 1], k)
                for k in range(i, j)
            )
    return cut


def chain(parts: list, cut: dict, i: int, j: int) -> Any:
    if i == j:
        return parts[i]
    k = cut[i, j]
    return matmul(chain(parts, cut, i, k), chain(parts, cut, k + 1, j))
