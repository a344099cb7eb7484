"""Streaming: sums that are written past the caches, for results so large that nothing of them would stay there anyway.

An ordinary store first reads the line that it writes; these do not, so a sum of two arrays moves 3 bytes instead of 4.  They
become visible to others at a fence: who publishes the result must run one first.
"""

import functools

import numpy as np

from nbgrad.jit.lines import lines


@lines(arrays=3, ranges=4, streams=True)
def total(line):
    """out = a + b"""
    _, a, b = line.arrays
    return {0: a + b}


UNIT = max(
    map(total.unit, ("float32", "float64"))
)  # elements; `out` lies at a multiple of 32 bytes


@functools.cache
def sum_address(dtype: np.dtype) -> int:
    """Where that function starts, for arrays of a dtype; 0: there is none for it."""
    return total.address(dtype.name)
