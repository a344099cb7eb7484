"""Comparisons and logic: results are booleans, so no gradient flows."""

from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.broadcast import broadcast_shapes


def compared(ufunc: Any, x: Any, y: Any) -> np.ndarray:
    """NumPy's answer as an ndarray."""
    broadcast_shapes(x, y, ufunc.__name__)
    return np.asarray(ufunc(x, y))


@op(inputs=2, numbers=True, constant=True)
def eq(x, y):
    """Whether x == y, element by element.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.eq(nb.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return compared(np.equal, x, y), None


@op(inputs=2, numbers=True, constant=True)
def ne(x, y):
    """Whether x != y, element by element."""
    return compared(np.not_equal, x, y), None


@op(inputs=2, numbers=True, constant=True)
def lt(x, y):
    """Whether x < y, element by element."""
    return compared(np.less, x, y), None


@op(inputs=2, numbers=True, constant=True)
def le(x, y):
    """Whether x <= y, element by element."""
    return compared(np.less_equal, x, y), None


@op(inputs=2, numbers=True, constant=True)
def gt(x, y):
    """Whether x > y, element by element.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tensor([1.0, -1.0]) > 0
    tensor([ True, False])
    """
    return compared(np.greater, x, y), None


@op(inputs=2, numbers=True, constant=True)
def ge(x, y):
    """Whether x >= y, element by element."""
    return compared(np.greater_equal, x, y), None


@op(inputs=2, numbers=True, constant=True)
def logical_and(x, y):
    """x and y, element by element; on booleans and integers also `x & y`."""
    return compared(np.logical_and, x, y), None


@op(inputs=2, numbers=True, constant=True)
def logical_or(x, y):
    """x or y, element by element."""
    return compared(np.logical_or, x, y), None


@op(inputs=2, numbers=True, constant=True)
def logical_xor(x, y):
    """Whether exactly one of x and y holds, element by element."""
    return compared(np.logical_xor, x, y), None


@op(constant=True)
def logical_not(x):
    """Whether x is zero or False, element by element."""
    return np.asarray(np.logical_not(x)), None


@op(inputs=2, numbers=True, constant=True)
def bitwise_and(x, y):
    """Bits set in both; for booleans: and."""
    return compared(np.bitwise_and, x, y), None


@op(inputs=2, numbers=True, constant=True)
def bitwise_or(x, y):
    """Bits set in either; for booleans: or."""
    return compared(np.bitwise_or, x, y), None


@op(inputs=2, numbers=True, constant=True)
def bitwise_xor(x, y):
    """Bits set in exactly one; for booleans: xor."""
    return compared(np.bitwise_xor, x, y), None


@op(constant=True)
def bitwise_not(x):
    """All bits flipped; for booleans: not."""
    return np.asarray(np.invert(x)), None


@op(constant=True)
def isnan(x):
    """Where the elements are NaN."""
    return np.asarray(np.isnan(x)), None


@op(constant=True)
def isinf(x):
    """Where the elements are infinite."""
    return np.asarray(np.isinf(x)), None


@op(constant=True)
def isfinite(x):
    """Where the elements are neither NaN nor infinite."""
    return np.asarray(np.isfinite(x)), None


def array_of(x: Any) -> Any:
    return x.array if isinstance(x, Tensor) else x


def equal(x: Tensor, y: Tensor) -> bool:
    """Whether shapes and all elements are the same.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.equal(nb.ones(2), nb.ones(2))
    True
    """
    return np.array_equal(array_of(x), array_of(y))


def allclose(
    x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all |x - y| <= atol + rtol |y|.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.allclose(nb.ones(2), nb.ones(2) + 1e-9)
    True
    """
    return bool(np.allclose(array_of(x), array_of(y), rtol, atol, equal_nan))


@op(inputs=2, constant=True)
def isclose(x, y, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Where |x - y| <= atol + rtol |y|."""
    return np.asarray(np.isclose(x, y, rtol, atol, equal_nan)), None
