"""Adding cotangents: into a new buffer, or in place into one that is owned.

Both engines add here.  Which buffers are owned is the engine's knowledge.
"""

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel, maker


def added(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A new array x + y; both have one shape and dtype."""
    z = _added(x, y)
    return np.add(x, y, out=empty(x.shape, x.dtype)) if z is None else z  # None: not contiguous


def add_into(x: np.ndarray, total: np.ndarray) -> None:
    """total += x, in place."""
    try:
        _add_into(x, total)
    except (DtypeError, ShapeError):
        np.add(total, x, out=total)


@maker("aa>a", quiet=True)
def _added(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y[i]


@kernel("a>a")
def _add_into(x, total):
    for i in range(x.size):
        total[i] += x[i]
