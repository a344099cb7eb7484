"""max_pool2d, avg_pool2d and their adaptive forms."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.index import spread_out
from nbgrad.ops.pointwise import floats
from nbgrad.ops.windows import check_images, out_length, pair


def sizes(name: str, x: np.ndarray, kernel_size: Any, stride: Any, padding: Any) -> tuple:
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
    oh, ow = out_length(name, h, kh, sh, ph), out_length(name, w, kw, sw, pw)
    planes = int(np.prod(x.shape[:-2]))
    return planes, h, w, kh, kw, sh, sw, ph, pw, oh, ow


@op
def max_pool2d(input, kernel_size, stride=None, padding=0):
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
    x = floats(input)
    plan = sizes("max_pool2d", x, kernel_size, stride, padding)
    shape = (*x.shape[:-2], *plan[-2:])
    y, places = empty(shape, x.dtype), empty(shape, np.int64)
    _max_pool(x, y, places, *plan)
    return y, (places, x.shape, plan)


@max_pool2d.vjp
def max_pool2d(residuals, g):
    places, shape, plan = residuals
    planes, h, w, *_, oh, ow = plan
    x_bar = empty(shape, g.dtype)
    _max_pool_vjp(contiguous(g), places, x_bar, planes, h * w, oh * ow)
    return (x_bar,)


@max_pool2d.double()
def max_pool2d(residuals, g):
    places, shape, plan = residuals
    planes, h, w, *_ = plan
    flat = (places.reshape(planes, -1) + np.arange(planes)[:, None] * (h * w)).ravel()
    return (spread_out(g.reshape(-1), (planes * h * w,), (flat,)).reshape(shape),)


@op
def avg_pool2d(input, kernel_size, stride=None, padding=0, count_include_pad=True):
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
    count_include_pad : bool
        Whether these count in the mean.

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
    plan = sizes("avg_pool2d", x, kernel_size, stride, padding)
    return averages(x, plan, count_include_pad), (x.shape, plan, count_include_pad)


@avg_pool2d.vjp
def avg_pool2d(residuals, g):
    return (averages_back(g, *residuals),)


@avg_pool2d.double()
def avg_pool2d(residuals, g):
    shape, plan, count_include_pad = residuals
    return (avg_pool2d_bar(g, shape, plan, count_include_pad),)


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
    _, (_, _, _, kh, kw, sh, sw, ph, pw, _, _), count_include_pad = residuals
    return (avg_pool2d(u, (kh, kw), (sh, sw), (ph, pw), count_include_pad),)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means over windows chosen so that the result has a given size, which must divide the input's.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.adaptive_avg_pool2d(nb.ones(1, 2, 4, 4), 1).shape
    Size([1, 2, 1, 1])
    """
    return avg_pool2d(input, adaptive_window("adaptive_avg_pool2d", input, output_size))


def adaptive_max_pool2d(input: Any, output_size: Any) -> Any:
    """Maxima over windows chosen so that the result has a given size, which must divide the input's.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.adaptive_max_pool2d(nb.ones(1, 2, 4, 4), 2).shape
    Size([1, 2, 2, 2])
    """
    return max_pool2d(input, adaptive_window("adaptive_max_pool2d", input, output_size))


def adaptive_window(name: str, x: Any, output_size: Any) -> tuple[int, int]:
    check_images(name, tuple(x.shape))
    h, w = x.shape[-2:]
    if not isinstance(output_size, tuple | list):
        output_size = (output_size, output_size)
    oh, ow = (n if size is None else size for n, size in zip((h, w), output_size))
    if h % oh or w % ow:
        raise ShapeError(
            f"{name}: output_size {(oh, ow)} must divide the input's {(h, w)}; windows of unequal size are not "
            f"supported yet"
        )
    return h // oh, w // ow


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
                count = kh * kw if with_padding else (bottom - top) * (right - left)
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
                count = kh * kw if with_padding else (bottom - top) * (right - left)
                share = g[(p * oh + i) * ow + j] / g.dtype.type(count)
                for a in range(top, bottom):
                    for b in range(left, right):
                        plane[a * w + b] += share
