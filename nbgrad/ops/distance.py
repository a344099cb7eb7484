"""How far vectors are apart: pairwise_distance, cosine_similarity, cdist."""

from typing import Any

from nbgrad.errors import ShapeError
from nbgrad.ops.pointwise import abs
from nbgrad.ops.reduce import norm, sum
from nbgrad.ops.shape import unsqueeze


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """The p-norm of the difference of vectors in the last dimension, `eps` added to each element of it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.pairwise_distance(nb.tensor([[3.0, 0.0]]), nb.tensor([[0.0, 4.0]]))
    tensor([5.])
    """
    return norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along a dimension; each length is at least `eps`.

    Parameters
    ----------
    x1, x2 : Tensor
        Vectors; shapes are broadcast.
    dim : int
        Along which they lie.
    eps : float
        The least length.

    Returns
    -------
    Tensor
        From -1 to 1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cosine_similarity(nb.tensor([[1.0, 0.0]]), nb.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    a, b = ((sum(x * x, dim).clamp(min=eps * eps)) ** 0.5 for x in (x1, x2))
    return sum(x1 * x2, dim) / (a * b)


def cdist(x1: Any, x2: Any, p: float = 2.0) -> Any:
    """The p-norm distance of each row of one matrix from each row of another.

    Parameters
    ----------
    x1 : Tensor, shape (..., m, d)
        Rows.
    x2 : Tensor, shape (..., n, d)
        Rows.
    p : float
        Which norm.

    Returns
    -------
    Tensor, shape (..., m, n)

    Notes
    -----
    Differences are formed, of m n d elements, so small distances of long rows are exact.  The gradient of a distance 0 is
    infinite or NaN for p = 2.

    Raises
    ------
    ShapeError
        If the rows have different lengths.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cdist(nb.tensor([[0.0, 0.0]]), nb.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([[5., 1.]])
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"cdist: X1 and X2 must have the same number of columns, got shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    away = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    return sum(abs(away), -1) if p == 1 else norm(away, p, -1)
