"""Adding cotangents: into a new buffer, or in place into one that is owned.

Both engines add here.  Which buffers are owned is the engine's knowledge.  What is sparse is told from what is dense only
where the native call has refused.
"""

import sys
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, is_sole, writable
from nbgrad.autograd.sparse import SparseArray, copied
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import forms, kernel, maker
from nbgrad.shm.binding import current


def added(x: Any, y: Any) -> Any:
    """A new array x + y; both have one shape and dtype.  Sparse if both are."""
    z = _added(x, y)
    if z is not None:
        return z
    if isinstance(x, SparseArray) or isinstance(y, SparseArray):
        return x + y
    return np.add(x, y, out=empty(x.shape, x.dtype))  # not contiguous


def add_into(x: Any, total: np.ndarray) -> None:
    """total += x, in place; `x` may be sparse."""
    try:
        _add_into(x, total)
    except (DtypeError, ShapeError):
        if isinstance(x, SparseArray):
            x.add_to(total)
        else:
            np.add(total, x, out=total)


def accumulate(gradient: Tensor, g: Any) -> None:
    """Add the sum of a pass to a gradient that users hold: the object stays the same, and its memory if it is dense."""
    if gradient.array.__class__ is np.ndarray:
        add_into(g, writable(gradient))
    else:
        gradient.array = gradient.array + g


def kept(g: Any, n_names: int) -> Any:
    """The sum of a leaf, to be written in place from now on: `g` itself, unless something else can see its memory.

    What another worker has sent is read-only; it becomes this worker's where the sender holds it no more.  `n_names` as for
    `is_sole`.
    """
    if is_sole(g, n_names + 1):
        return g
    if g.__class__ is not np.ndarray:
        return copied(g)
    if current and not g.flags.writeable and sys.getrefcount(g) <= n_names + 2:
        own = current[-1].taken_over(g)
        if own is not None:
            return own
    fresh = empty(g.shape, g.dtype)
    forms.copy(fresh, g)
    return fresh


@maker("aa>a", quiet=True, form="add")
def _added(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y[i]


@kernel("a>a")
def _add_into(x, total):
    for i in range(x.size):
        total[i] += x[i]


ones: dict = {}  # dtype -> a scalar 1 to copy: np.ones_like takes ten times as long


def one_like(root: np.ndarray) -> np.ndarray:
    """The cotangent of a root of one element: a new array."""
    one = ones.get(root.dtype)
    if one is None:
        one = ones[root.dtype] = np.ones((), root.dtype)
    g = one.copy()
    return g.reshape(root.shape) if root.ndim else g
