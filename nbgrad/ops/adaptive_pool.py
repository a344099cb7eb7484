"""Adaptive pooling: windows chosen so that the result has a given size.

Of n elements and m windows, window i covers floor(i n / m) to ceil((i + 1) n / m): windows of one size side by side where m
divides n, overlapping ones of two sizes where it does not.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.index import index_select
from nbgrad.ops.matmul import matmul
from nbgrad.ops.peak import amax
from nbgrad.ops.pool import avg_pool2d, max_pool2d
from nbgrad.ops.shape import reshape, squeeze, unsqueeze
from nbgrad.ops.windows import check_images


def bounds(n: int, count: int) -> list[tuple[int, int]]:
    """The windows of one dimension."""
    return [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]


def wanted(name: str, x: Any, output_size: Any) -> tuple[int, int]:
    """Height and width of the result; None keeps the input's."""
    check_images(name, tuple(x.shape))
    if not isinstance(output_size, tuple | list):
        output_size = (output_size, output_size)
    oh, ow = (n if size is None else int(size) for n, size in zip(x.shape[-2:], output_size))
    if oh < 1 or ow < 1 or 0 in x.shape[-2:]:
        raise ShapeError(
            f"{name}: windows need elements; the input has {tuple(x.shape[-2:])}, output_size is {(oh, ow)}"
        )
    return oh, ow


def averages_of(n: int, count: int, dtype: np.dtype) -> Tensor:
    """The matrix (n, count) that takes the means of windows."""
    weights = np.zeros((n, count), dtype)
    for i, (start, end) in enumerate(bounds(n, count)):
        weights[start:end, i] = 1 / (end - start)
    return Tensor(weights)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means over windows chosen so that the result has a given size.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, height, width) or (channels, height, width)
        Images.
    output_size : int, or pair of (int or None)
        Height and width of the result; None keeps the input's.

    Returns
    -------
    Tensor, shape (..., out_height, out_width)

    Raises
    ------
    ShapeError
        If there are no elements.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.adaptive_avg_pool2d(nb.arange(3.0).reshape(1, 1, 3), (1, 2))
    tensor([[[0.5000, 1.5000]]])
    """
    h, w = input.shape[-2:]
    oh, ow = wanted("adaptive_avg_pool2d", input, output_size)
    if not h % oh and not w % ow:
        return avg_pool2d(input, (h // oh, w // ow))
    rows, columns = averages_of(h, oh, input.dtype), averages_of(w, ow, input.dtype)
    return matmul(rows.mT, matmul(input, columns))


def adaptive_max_pool2d(input: Any, output_size: Any) -> Any:
    """Maxima over windows chosen so that the result has a given size.

    Parameters
    ----------
    input, output_size
        As for `adaptive_avg_pool2d`.

    Returns
    -------
    Tensor, shape (..., out_height, out_width)

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.adaptive_max_pool2d(nb.arange(3.0).reshape(1, 1, 3), (1, 2))
    tensor([[[1., 2.]]])
    """
    h, w = input.shape[-2:]
    oh, ow = wanted("adaptive_max_pool2d", input, output_size)
    if not h % oh and not w % ow:
        return max_pool2d(input, (h // oh, w // ow))
    # All windows as long as the longest one: shorter ones repeat their last element, which changes no maximum, and two
    # shares of one element's cotangent are the whole of it.
    for axis, count in ((input.ndim - 1, ow), (input.ndim - 2, oh)):
        windows = bounds(input.shape[axis], count)
        longest = max(end - start for start, end in windows)
        places = [min(start + k, end - 1) for start, end in windows for k in range(longest)]
        shape = (*input.shape[:axis], count, longest, *input.shape[axis + 1 :])
        apart = reshape(index_select(input, axis, Tensor(np.array(places))), shape)
        input = amax(apart, axis + 1)
    return input


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """`adaptive_avg_pool2d` of signals, shape (batch, channels, length) or (channels, length)."""
    return squeeze(adaptive_avg_pool2d(unsqueeze(input, -2), (1, single(output_size))), -2)


def adaptive_max_pool1d(input: Any, output_size: Any) -> Any:
    """`adaptive_max_pool2d` of signals, shape (batch, channels, length) or (channels, length)."""
    return squeeze(adaptive_max_pool2d(unsqueeze(input, -2), (1, single(output_size))), -2)


def single(size: Any) -> Any:
    return size[0] if isinstance(size, tuple | list) else size
