"""max_pool2d and avg_pool2d, and both in one dimension."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.index import spread_out
from nbgrad.ops.pointwise import floats
from nbgrad.ops.shape import squeeze, unsqueeze
from nbgrad.ops.windows import check_images, out_length, pair


def sizes(
    name: str, x: np.ndarray, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool
) -> tuple:
    """(number of planes, h, w, kh, kw, sh, sw, ph, pw, oh, ow)."""
    check_images(name, x.shape)
    kh, kw = pair(kernel_size)
    sh, sw = pair(kernel_size if stride is None or stride == () else stride)
    ph, pw = pair(padding)
    if ph > kh // 2 or pw > kw // 2:
        raise ShapeError(
            f"{name}: pad should be at most half of effective kernel size, but got pad=({ph}, {pw}) and "
            f"kernel_size=({kh}, {kw})"
        )
    h, w = x.shape[-2:]
    oh = out_length(name, h, kh, sh, ph, 1, ceil_mode)
    ow = out_length(name, w, kw, sw, pw, 1, ceil_mode)
    planes = int(np.prod(x.shape[:-2]))
    return planes, h, w, kh, kw, sh, sw, ph, pw, oh, ow


@op
def max_pool2d(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest element of each window; of equal ones the first gets the gradient.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, height, width) or (channels, height, width)
        Images.
    kernel_size : int or pair of int
        Size of a window.
    stride : int or pair of int, optional
        Steps between windows, `kernel_size` by default.
    padding : int or pair of int
        Elements of minus infinity added on each side.
    dilation, return_indices
        PyTorch's; only their defaults are supported.
    ceil_mode : bool
        Whether a last window that sticks out counts.

    Returns
    -------
    Tensor, shape (..., out_height, out_width)

    Raises
    ------
    ShapeError
        If no window fits.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.max_pool2d(nb.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[3.]]]])
    """
    if pair(dilation) != (1, 1) or return_indices:
        raise NotImplementedError("max_pool2d: dilation and return_indices are not supported")
    x = floats(input)
    plan = sizes("max_pool2d", x, kernel_size, stride, padding, ceil_mode)
    shape = (*x.shape[:-2], *plan[-2:])
    y, places = empty(shape, x.dtype), empty(shape, np.int64)
    if is_quartered(plan):
        planes, h, w, *_, oh, ow = plan
        _max_pool_2(x, y, places, planes, h, w, oh, ow)
    else:
        _max_pool(x, y, places, *plan)
    return y, (places, x.shape, plan)


@max_pool2d.vjp
def max_pool2d(residuals, g):
    places, shape, plan = residuals
    planes, h, w, *_, oh, ow = plan
    x_bar = empty(shape, g.dtype)
    if is_quartered(plan):
        _max_pool_2_vjp(contiguous(g), places, x_bar, planes, h, w, oh, ow)
    else:
        _max_pool_vjp(contiguous(g), places, x_bar, planes, h * w, oh * ow)
    return (x_bar,)


def is_quartered(plan: tuple) -> bool:
    """Whether windows are 2 x 2, beside each other, and none sticks out."""
    _, h, w, kh, kw, sh, sw, ph, pw, oh, ow = plan
    return (kh, kw, sh, sw, ph, pw) == (2, 2, 2, 2, 0, 0) and 2 * oh <= h and 2 * ow <= w


@max_pool2d.double()
def max_pool2d(residuals, g):
    places, shape, plan = residuals
    planes, h, w, *_ = plan
    flat = (places.reshape(planes, -1) + np.arange(planes)[:, None] * (h * w)).ravel()
    return (spread_out(g.reshape(-1), (planes * h * w,), (flat,)).reshape(shape),)


@op
def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, height, width) or (channels, height, width)
        Images.
    kernel_size : int or pair of int
        Size of a window.
    stride : int or pair of int, optional
        Steps between windows, `kernel_size` by default.
    padding : int or pair of int
        Zeros added on each side.
    ceil_mode : bool
        Whether a last window that sticks out counts.
    count_include_pad : bool
        Whether the zeros count in the mean.

    Returns
    -------
    Tensor, shape (..., out_height, out_width)

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.avg_pool2d(nb.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[1.5000]]]])
    """
    x = floats(input)
    plan = sizes("avg_pool2d", x, kernel_size, stride, padding, ceil_mode)
    return averages(x, plan, count_include_pad), (x.shape, plan, count_include_pad)


@avg_pool2d.vjp
def avg_pool2d(residuals, g):
    return (averages_back(g, *residuals),)


@avg_pool2d.double()
def avg_pool2d(residuals, g):
    return (avg_pool2d_bar(g, *residuals),)


def averages(x: np.ndarray, plan: tuple, count_include_pad: bool) -> np.ndarray:
    y = empty((*x.shape[:-2], *plan[-2:]), x.dtype)
    _avg_pool(contiguous(x), y, *plan, int(count_include_pad))
    return y


def averages_back(g: np.ndarray, shape: tuple, plan: tuple, count_include_pad: bool) -> np.ndarray:
    x_bar = empty(shape, g.dtype)
    _avg_pool_vjp(contiguous(g), x_bar, *plan, int(count_include_pad))
    return x_bar


@op
def avg_pool2d_bar(g, shape, plan, count_include_pad):
    """The cotangent of `avg_pool2d`'s input; linear, as `avg_pool2d` is, so each is the other's VJP."""
    return averages_back(g, shape, plan, count_include_pad), (shape, plan, count_include_pad)


@avg_pool2d_bar.vjp
def avg_pool2d_bar(residuals, u):
    _, plan, count_include_pad = residuals
    return (averages(u, plan, count_include_pad),)


@avg_pool2d_bar.double()
def avg_pool2d_bar(residuals, u):
    shape, plan, count_include_pad = residuals
    return (avg_pool2d_again(u, shape, plan, count_include_pad),)


@op
def avg_pool2d_again(u, shape, plan, count_include_pad):
    """`avg_pool2d` of a plan."""
    return averages(u, plan, count_include_pad), (shape, plan, count_include_pad)


@avg_pool2d_again.vjp
def avg_pool2d_again(residuals, g):
    return (averages_back(g, *residuals),)


@avg_pool2d_again.double()
def avg_pool2d_again(residuals, g):
    return (avg_pool2d_bar(g, *residuals),)


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of signals, shape (batch, channels, length) or (channels, length).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.max_pool1d(nb.arange(4.0).reshape(1, 1, 4), 2)
    tensor([[[1., 3.]]])
    """
    rows = as_rows("max_pool1d", kernel_size, stride, padding)
    options = (dilation, ceil_mode, return_indices)
    return squeeze(max_pool2d(unsqueeze(input, -2), *rows, *options), -2)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of signals, shape (batch, channels, length) or (channels, length).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.avg_pool1d(nb.arange(4.0).reshape(1, 1, 4), 2)
    tensor([[[0.5000, 2.5000]]])
    """
    rows = as_rows("avg_pool1d", kernel_size, stride, padding)
    return squeeze(avg_pool2d(unsqueeze(input, -2), *rows, ceil_mode, count_include_pad), -2)


def as_rows(name: str, kernel_size: Any, stride: Any, padding: Any) -> tuple:
    """Window, step and padding of signals as those of images of one row."""
    found = []
    for value in (kernel_size, kernel_size if stride is None or stride == () else stride, padding):
        if isinstance(value, tuple | list):
            if len(value) != 1:
                raise ShapeError(f"{name}: expected one number per argument, got {value}")
            (value,) = value
        found.append(int(value))
    kernel, step, width = found
    return (1, kernel), (1, step), (0, width)


@kernel("A>A>knnnnnnnnnnn")
def _max_pool(x, y, places, planes, h, w, kh, kw, sh, sw, ph, pw, oh, ow):
    for p in range(planes):
        plane = x[p * h * w : (p + 1) * h * w]
        for i in range(oh):
            top, bottom = max(0, i * sh - ph), min(h, i * sh - ph + kh)
            for j in range(ow):
                left, right = max(0, j * sw - pw), min(w, j * sw - pw + kw)
                best = plane[top * w + left]
                place = top * w + left
                for a in range(top, bottom):
                    for b in range(left, right):
                        v = plane[a * w + b]
                        if v > best or v != v:
                            best = v
                            place = a * w + b
                k = (p * oh + i) * ow + j
                y[k] = best
                places[k] = place


@kernel("A>A>knnnnn")
def _max_pool_2(x, y, places, planes, h, w, oh, ow):
    # As `_max_pool`, without branches: vector code.
    for p in range(planes):
        for i in range(oh):
            start = (p * h + 2 * i) * w
            top, bottom = x[start : start + 2 * ow], x[start + w : start + w + 2 * ow]
            k = (p * oh + i) * ow
            out, found = y[k : k + ow], places[k : k + ow]
            corner = 2 * i * w
            for j in range(ow):
                a, b, c, d = top[2 * j], top[2 * j + 1], bottom[2 * j], bottom[2 * j + 1]
                right = (b > a) | (b != b)
                best = b if right else a
                place = 1 if right else 0
                below = (c > best) | (c != c)
                best = c if below else best
                place = w if below else place
                last = (d > best) | (d != d)
                out[j] = d if last else best
                found[j] = corner + 2 * j + (w + 1 if last else place)


@kernel("Ak>Annnnn")
def _max_pool_2_vjp(g, places, x_bar, planes, h, w, oh, ow):
    zero = g.dtype.type(0)
    if 2 * oh < h or 2 * ow < w:
        for k in range(x_bar.size):
            x_bar[k] = zero
    for p in range(planes):
        for i in range(oh):
            start = (p * h + 2 * i) * w
            top, bottom = x_bar[start : start + 2 * ow], x_bar[start + w : start + w + 2 * ow]
            k = (p * oh + i) * ow
            source, found = g[k : k + ow], places[k : k + ow]
            corner = 2 * i * w
            for j in range(ow):
                v, place = source[j], found[j] - corner - 2 * j
                top[2 * j] = v if place == 0 else zero
                top[2 * j + 1] = v if place == 1 else zero
                bottom[2 * j] = v if place == w else zero
                bottom[2 * j + 1] = v if place == w + 1 else zero


@kernel("Ak>Annn")
def _max_pool_vjp(g, places, x_bar, planes, size, out_size):
    zero = g.dtype.type(0)
    for p in range(planes):
        plane = x_bar[p * size : (p + 1) * size]
        for k in range(size):
            plane[k] = zero
        for k in range(p * out_size, (p + 1) * out_size):
            plane[places[k]] += g[k]


@kernel("A>Annnnnnnnnnnn")
def _avg_pool(x, y, planes, h, w, kh, kw, sh, sw, ph, pw, oh, ow, with_padding):
    for p in range(planes):
        plane = x[p * h * w : (p + 1) * h * w]
        for i in range(oh):
            top, bottom = max(0, i * sh - ph), min(h, i * sh - ph + kh)
            for j in range(ow):
                left, right = max(0, j * sw - pw), min(w, j * sw - pw + kw)
                total = x.dtype.type(0)
                for a in range(top, bottom):
                    for b in range(left, right):
                        total += plane[a * w + b]
                count = (bottom - top) * (right - left)
                if (
                    with_padding
                ):  # as far as the padding reaches: a last window may stick out of it, too
                    height = min(kh, h + 2 * ph - i * sh)
                    count = height * min(kw, w + 2 * pw - j * sw)
                y[(p * oh + i) * ow + j] = total / x.dtype.type(count)


@kernel("A>Annnnnnnnnnnn")
def _avg_pool_vjp(g, x_bar, planes, h, w, kh, kw, sh, sw, ph, pw, oh, ow, with_padding):
    zero = g.dtype.type(0)
    for p in range(planes):
        plane = x_bar[p * h * w : (p + 1) * h * w]
        for k in range(h * w):
            plane[k] = zero
        for i in range(oh):
            top, bottom = max(0, i * sh - ph), min(h, i * sh - ph + kh)
            for j in range(ow):
                left, right = max(0, j * sw - pw), min(w, j * sw - pw + kw)
                count = (bottom - top) * (right - left)
                if (
                    with_padding
                ):  # as far as the padding reaches: a last window may stick out of it, too
                    height = min(kh, h + 2 * ph - i * sh)
                    count = height * min(kw, w + 2 * pw - j * sw)
                share = g[(p * oh + i) * ow + j] / g.dtype.type(count)
                for a in range(top, bottom):
                    for b in range(left, right):
                        plane[a * w + b] += share
