"""Dimension arguments: negative ones, tuples, and the error for one that does not exist."""

from typing import Any

import numpy as np


def dim_of(dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises
    ------
    IndexError
        If there is no such dimension.  A tensor without dimensions accepts 0 and -1.
    """
    length = max(ndim, 1)
    if not -length <= dim < length:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-length}, {length - 1}], but got {dim})"
        )
    return dim % length


def axes_of(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions that `dim` names: all for None."""
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, tuple | list):
        axes = tuple([dim_of(int(d), ndim) for d in dim])
        if len(set(axes)) < len(axes):
            raise ValueError(f"a dim appears multiple times in the list of dims {tuple(dim)}")
        return axes if axes else tuple(range(ndim))
    axis = dim_of(int(dim), ndim)
    return (axis,) if ndim else ()


def reduced_shape(shape: tuple, axes: tuple, keepdim: bool) -> tuple:
    """The shape that is left when `axes` are reduced."""
    if keepdim:
        return tuple([1 if axis in axes else n for axis, n in enumerate(shape)])
    return tuple([n for axis, n in enumerate(shape) if axis not in axes])


def spread(g: Any, shape: tuple, axes: tuple) -> Any:
    """A cotangent, array or tensor, with its reduced dimensions back, of length 1."""
    return g.reshape(tuple([1 if axis in axes else n for axis, n in enumerate(shape)]))


def ints_of(values: tuple) -> tuple[int, ...]:
    """`view(2, 3)` and `view((2, 3))` mean the same."""
    if len(values) == 1 and not isinstance(values[0], int | np.integer):
        (values,) = values
    try:
        return tuple([int(v) for v in values])
    except TypeError:
        return (int(values),)  # type: ignore[call-overload]
