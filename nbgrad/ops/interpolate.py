"""interpolate: signals and images in another size.

Every mode but "nearest" is a matrix per dimension, applied by a matrix product: rows of it say how much of each old element
a new one takes.
"""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.adaptive_pool import averages_of
from nbgrad.ops.index import index_select
from nbgrad.ops.matmul import matmul
from nbgrad.ops.shape import transpose

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
MODES = ("nearest", "nearest-exact", "area", "bicubic", *LINEAR)


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Any:
    """Signals and images in another size.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, ...)
        One to three dimensions after the channels.
    size : int or sequence of int, optional
        Lengths of these dimensions in the result.
    scale_factor : float or sequence of float, optional
        Or by how much they grow; new lengths are rounded down.
    mode : {"nearest", "nearest-exact", "area", "linear", "bilinear", "trilinear", "bicubic"}
        linear, bilinear, trilinear for one, two and three dimensions; bicubic for two.
    align_corners : bool, optional
        Whether the first and the last elements stay where they are, instead of the outer edges of these.
    recompute_scale_factor : bool, optional
        Take the scale from the rounded lengths.

    Returns
    -------
    Tensor, shape (batch, channels, ...)

    Raises
    ------
    ShapeError
        If the sizes do not fit.
    ValueError
        If the mode does not fit the dimensions, or both or none of `size` and `scale_factor` are given.

    References
    ----------
    Keys 1981, Cubic convolution interpolation for digital image processing (with a = -0.75).

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([[[0.0, 4.0]]])
    >>> nb.nn.functional.interpolate(x, 4)
    tensor([[[0., 0., 4., 4.]]])
    >>> nb.nn.functional.interpolate(x, 4, mode="linear")
    tensor([[[0., 1., 3., 4.]]])
    """
    n_dims = input.ndim - 2
    check_mode(mode, n_dims, align_corners)
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: only one of size or scale_factor should be defined")
    given = size if scale_factor is None else scale_factor
    values = list(given) if isinstance(given, tuple | list) else [given] * n_dims
    if len(values) != n_dims:
        raise ShapeError(
            f"interpolate: Input and output must have the same number of spatial dimensions, but got input with spatial "
            f"dimensions {tuple(input.shape[2:])} and {values}"
        )
    old = list(input.shape[2:])
    lengths = [int(v) if scale_factor is None else math.floor(n * v) for n, v in zip(old, values)]
    if 0 in old or min(lengths, default=1) < 1:
        raise ShapeError(
            f"interpolate: Input and output sizes should be greater than 0, but got {tuple(old)} to {tuple(lengths)}"
        )
    for k, (n, length) in enumerate(zip(old, lengths)):
        step = n / length
        if scale_factor is not None and not recompute_scale_factor:
            step = 1 / values[k]
        axis = k + 2
        if mode.startswith("nearest"):
            input = index_select(input, axis, Tensor(nearest(n, length, step, mode)))
            continue
        if mode == "area":
            weights = averages_of(n, length, input.dtype)
        else:
            weights = Tensor(matrix(n, length, step, mode, bool(align_corners), input.dtype))
        input = transpose(matmul(transpose(input, axis, -1), weights), axis, -1)
    return input


def check_mode(mode: str, n_dims: int, align_corners: bool | None) -> None:
    if mode not in MODES:
        raise ValueError(f"interpolate: mode is one of {', '.join(MODES)}, not {mode!r}")
    needed = 2 if mode == "bicubic" else LINEAR.get(mode)
    if n_dims not in (1, 2, 3) or needed not in (None, n_dims):
        raise ValueError(
            f"interpolate: got {n_dims + 2}D input, but mode {mode!r} needs {(needed or 1) + 2}D input"
        )
    if align_corners is not None and needed is None:
        raise ValueError(
            "interpolate: align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
            "trilinear"
        )


def nearest(n: int, length: int, step: float, mode: str) -> np.ndarray:
    """Which old element each new one is."""
    shift = 0.5 if mode == "nearest-exact" else 0.0
    # float32, since PyTorch computes so, and rounding decides here.
    places = np.floor((np.arange(length, dtype=np.float32) + np.float32(shift)) * np.float32(step))
    return np.minimum(places.astype(np.int64), n - 1)


def matrix(
    n: int, length: int, step: float, mode: str, align_corners: bool, dtype: np.dtype
) -> np.ndarray:
    """How much of each of n old elements each of `length` new ones takes, shape (n, length)."""
    places = np.arange(length)
    if align_corners:
        where = places * ((n - 1) / (length - 1) if length > 1 else 0.0)
    else:
        where = (places + 0.5) * step - 0.5
        where = where if mode == "bicubic" else np.maximum(where, 0)
    first = np.floor(where).astype(np.int64)
    part = where - first
    weights = np.zeros((n, length))
    if mode == "bicubic":
        shares = [cubic(part + 1), cubic(part), cubic(1 - part), cubic(2 - part)]
        first = first - 1
    else:
        shares = [1 - part, part]
    for k, share in enumerate(shares):
        np.add.at(weights, (np.clip(first + k, 0, n - 1), places), share)
    return weights.astype(dtype)


def cubic(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The weight of an element at a distance from 0 to 2."""
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)
