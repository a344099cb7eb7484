"""Where the memory of results comes from, and how it may be written in place.

All ops allocate through `empty` and `empty_like`, and all in-place writes ask `writable` for the
array: the two places to change when memory is shared between processes.
"""

import sys

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import GraphError

empty = np.empty


def empty_like(array: np.ndarray) -> np.ndarray:
    """An uninitialized, C-contiguous array of the same shape and dtype."""
    return empty(array.shape, array.dtype)


def writable(tensor: Tensor) -> np.ndarray:
    """The tensor's array, safe to write in place.

    Raises
    ------
    GraphError
        If the array is read-only.
    """
    array = tensor.data
    if not array.flags.writeable:
        raise GraphError(
            f"this tensor of shape {array.shape} can't be written in place: its memory is read-only (it may come from "
            f"a read-only NumPy array or from another worker); work on .clone()"
        )
    return array


# Note [Sole owner]
# ~~~~~~~~~~~~~~~~~
# A cotangent may become `leaf.grad`, which the user writes in place, only if nothing else can see its memory.
# Counted are references to the array object and, for a view, to the array it views.  `n_names` is how many
# names and containers of the caller hold the array: 1 for one local variable.
# G1  True is only said if every reference is accounted for, so a mistake costs a copy, never a wrong value.


def is_sole(array: np.ndarray, n_names: int) -> bool:
    """Whether the caller's `n_names` references are the only way to the memory: Note [Sole owner]."""
    # + 2: our parameter and getrefcount's.
    if sys.getrefcount(array) > n_names + 2 or not array.flags.writeable:
        return False
    base = array.base
    if base is None:
        return True
    # `array.base`, our variable, getrefcount's parameter.
    return type(base) is np.ndarray and base.base is None and sys.getrefcount(base) <= 3
