"""Sums of products of three operands: lerp, addcmul, addcdiv, addmm and its relatives."""

from typing import Any

from nbgrad.ops.matmul import bmm, matmul, mm, mv


def lerp(x: Any, end: Any, weight: Any) -> Any:
    """x + weight (end - x).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.lerp(nb.tensor([0.0]), nb.tensor([10.0]), 0.25)
    tensor([2.5000])
    """
    return x + (end - x) * weight


def addcmul(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """x + value tensor1 tensor2.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.addcmul(nb.ones(1), nb.tensor([2.0]), nb.tensor([3.0]), value=10)
    tensor([61.])
    """
    product = tensor1 * tensor2
    return x + (product if value == 1 else product * value)


def addcdiv(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """x + value tensor1 / tensor2.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.addcdiv(nb.ones(1), nb.tensor([6.0]), nb.tensor([3.0]), value=10)
    tensor([21.])
    """
    quotient = tensor1 / tensor2
    return x + (quotient if value == 1 else quotient * value)


def weighted(x: Any, product: Any, beta: float, alpha: float) -> Any:
    """beta x + alpha product."""
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else (x if beta == 1 else x * beta) + product


def addmm(x: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta x + alpha mat1 mat2, of matrices.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.addmm(nb.ones(1, 1), nb.ones(1, 2), nb.ones(2, 1), alpha=2)
    tensor([[5.]])
    """
    return weighted(x, mm(mat1, mat2), beta, alpha)


def addmv(x: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta x + alpha mat vec."""
    return weighted(x, mv(mat, vec), beta, alpha)


def baddbmm(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta x + alpha batch1 batch2, of batches of matrices."""
    return weighted(x, bmm(batch1, batch2), beta, alpha)


def addbmm(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta x + alpha times the sum of the products of a batch of matrices."""
    return weighted(x, bmm(batch1, batch2).sum(0), beta, alpha)


def outer(x: Any, vec2: Any) -> Any:
    """The products of all elements of one vector with all of another.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.outer(nb.tensor([1, 2]), nb.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return x.reshape(-1, 1) * vec2.reshape(1, -1)


ger = outer


def addr(x: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """beta x + alpha outer(vec1, vec2)."""
    return weighted(x, outer(vec1, vec2), beta, alpha)


def inner(x: Any, other: Any) -> Any:
    """The sum of products over the last dimensions of both.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.inner(nb.tensor([1.0, 2.0]), nb.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if x.ndim == 0 or other.ndim == 0:
        return x * other
    flat = matmul(x.reshape(-1, x.shape[-1]), other.reshape(-1, other.shape[-1]).t())
    return flat.reshape(*x.shape[:-1], *other.shape[:-1])


def kron(x: Any, other: Any) -> Any:
    """The Kronecker product.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.kron(nb.tensor([1, 10]), nb.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    n = max(x.ndim, other.ndim)
    a = x.reshape(*[1] * (n - x.ndim), *x.shape)
    b = other.reshape(*[1] * (n - other.ndim), *other.shape)
    apart = a.reshape([k for length in a.shape for k in (length, 1)])
    wide = apart * b.reshape([k for length in b.shape for k in (1, length)])
    return wide.reshape([p * q for p, q in zip(a.shape, b.shape)])
