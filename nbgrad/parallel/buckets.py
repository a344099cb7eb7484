"""Buckets: which parameters are summed together, in about the order in which backward makes their gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FIRST_BYTES = 1 << 20  # the first bucket is small, so that summing begins early


@dataclass(frozen=True)
class Place:
    """Where a parameter's gradient lies: in which bucket, from which element on."""

    bucket: int
    first: int
    size: int


def divided(
    sizes: Sequence[int], itemsize: int, bucket_bytes: int
) -> tuple[list[int], list[Place]]:
    """Put the last parameters, whose gradients come first, into the first buckets.

    Parameters
    ----------
    sizes : sequence of int
        Elements per parameter, in the order of the model.
    bucket_bytes : int
        A bucket is closed when it has so many; the first one at a megabyte.

    Returns
    -------
    list of int
        Elements per bucket.
    list of Place
        One per parameter.

    Examples
    --------
    >>> from nbgrad.parallel.buckets import divided
    >>> divided([10, 20, 30], 4, 100)
    ([30, 42], [Place(bucket=1, first=32, size=10), Place(bucket=1, first=0, size=20), Place(bucket=0, first=0, size=30)])
    """
    totals: list[int] = []
    places: list[Place] = []
    unit = 64 // itemsize
    is_full = True
    for size in reversed(sizes):
        if is_full:
            totals.append(0)
        first = totals[-1]
        places.append(Place(len(totals) - 1, first, size))
        totals[-1] = first + size
        limit = min(FIRST_BYTES, bucket_bytes) if len(totals) == 1 else bucket_bytes
        is_full = totals[-1] * itemsize >= limit
        if not is_full:  # the next one begins at a cache line
            totals[-1] = (totals[-1] + unit - 1) // unit * unit
    return totals, places[::-1]


def parts(buffers: Sequence[np.ndarray], places: Sequence[Place], shapes: Sequence) -> list:
    """Each parameter's part of the buckets, in its shape."""
    return [
        buffers[at.bucket][at.first : at.first + at.size].reshape(shape)
        for at, shape in zip(places, shapes)
    ]
