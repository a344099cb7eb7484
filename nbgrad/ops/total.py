"""Total: the sum of all elements of a large array, as fast as memory can be read.

    x     | run 0 | run 1 | run 2 | run 3 | run 0 | ...        a block is four runs, which are read side by side
    parts | ----------- block 0 --------- | - block 1 ...      and one sum of each; NumPy adds those pairwise

A run is a page of float32: four pages at a time are looked up and fetched at once, where one after the other waits for each.
Sums of a block go through many lanes of 1,024 elements at most, so the error is that of NumPy's sum, or smaller.
"""

import numpy as np

from nbgrad.jit import kernel

RUN = 1024  # elements
BLOCK = 4 * RUN
LEAST = 1 << 14  # elements: below, NumPy's one call is as fast
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def can_total(x: np.ndarray) -> bool:
    """Whether `total` takes this array, and is faster than NumPy."""
    return x.size >= LEAST and x.dtype in DTYPES and x.flags.c_contiguous


def total(x: np.ndarray) -> np.floating:
    """The sum of all elements of an array that `can_total`.

    Parameters
    ----------
    x : ndarray, float32 or float64, C-contiguous
        Values.

    Returns
    -------
    NumPy number of x's dtype

    Examples
    --------
    >>> import numpy as np
    >>> total(np.full((128, 256), 0.5))
    np.float64(16384.0)
    """
    parts = np.empty(x.size // BLOCK + 1, x.dtype)
    _parts(x, parts)
    return np.add.reduce(parts)


@kernel("A>A")
def _parts(x, parts):
    n = x.size // BLOCK
    for b in range(n):
        first = np.uint64(b * BLOCK)  # unsigned, or each index is looked at for its sign
        second, third, fourth = (
            first + np.uint64(RUN),
            first + np.uint64(2 * RUN),
            first + np.uint64(3 * RUN),
        )
        s, t, u, v = x[first], x[second], x[third], x[fourth]
        for i in range(np.uint64(1), np.uint64(RUN)):
            s += x[first + i]
            t += x[second + i]
            u += x[third + i]
            v += x[fourth + i]
        parts[b] = (s + t) + (u + v)
    parts[n] = 0.0
    rest = parts[n]
    for i in range(n * BLOCK, x.size):
        rest += x[i]
    parts[n] = rest
