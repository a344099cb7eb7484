"""conv2d: windows written side by side (im2col), then one matrix product per image.

    x (C, H, W) ──im2col──> (C kh kw, oh ow) ──W──> y (O, oh ow)

The columns are made again in the backward pass instead of being kept: they take kh kw times the memory of x.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.windows import check_images, out_length, pair


class Plan:
    """Sizes of one convolution."""

    def __init__(
        self, shape: tuple, weight: tuple, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> None:
        self.n, self.c, self.h, self.w = shape
        self.o, self.cg, self.kh, self.kw = weight
        self.groups = groups
        self.sh, self.sw = pair(stride)
        self.dh, self.dw = pair(dilation)
        if padding == "same":
            if (self.sh, self.sw) != (1, 1):
                raise ShapeError("padding='same' is not supported for strided convolutions")
            reach = (self.dh * (self.kh - 1), self.dw * (self.kw - 1))
            if reach[0] % 2 or reach[1] % 2:
                raise ShapeError(
                    f"conv2d: padding='same' needs a window of odd size, this one covers "
                    f"{reach[0] + 1} x {reach[1] + 1}; pad the input yourself"
                )
            padding = (reach[0] // 2, reach[1] // 2)
        self.ph, self.pw = pair(0 if padding == "valid" else padding)
        self.oh = out_length("conv2d", self.h, self.kh, self.sh, self.ph, self.dh)
        self.ow = out_length("conv2d", self.w, self.kw, self.sw, self.pw, self.dw)
        if self.c != self.cg * groups or self.o % groups:
            raise ShapeError(
                f"conv2d: Given groups={groups}, weight of size {weight}, expected input {shape} to have "
                f"{self.cg * groups} channels, but got {self.c} channels instead"
                + (
                    f"; and {self.o} outputs can't be divided by {groups}"
                    if self.o % groups
                    else ""
                )
            )
        self.rows = self.c * self.kh * self.kw  # of the columns of one image
        self.places = self.oh * self.ow
        self.is_plain = (
            (self.kh, self.kw, self.sh, self.sw, self.ph, self.pw) == (1, 1, 1, 1, 0, 0)
        )  # fmt: skip

    def numbers(self) -> tuple:
        """Arguments of the kernels."""
        return (
            self.n * self.c, self.h, self.w, self.kh, self.kw, self.sh, self.sw,
            self.ph, self.pw, self.dh, self.dw, self.oh, self.ow,
        )  # fmt: skip

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Windows side by side, shape (n, groups, rows / groups, places)."""
        shape = (self.n, self.groups, self.rows // self.groups, self.places)
        if self.is_plain:
            return x.reshape(shape)
        columns = empty(shape, x.dtype)
        _im2col(x, columns, *self.numbers())
        return columns


@op(inputs=3)
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, needs=None):
    """Two-dimensional convolution (cross-correlation, as in all frameworks).

    Parameters
    ----------
    input : Tensor, shape (batch, channels, height, width) or (channels, height, width)
        Images.
    weight : Tensor, shape (out_channels, channels / groups, kernel_height, kernel_width)
        One filter per output channel.
    bias : Tensor, shape (out_channels,), optional
        Added to each output channel.
    stride, dilation : int or pair of int
        Steps between windows, and between the elements of one.
    padding : int, pair of int, "same" or "valid"
        Zeros added on each side.
    groups : int
        Channels are split into so many groups that do not see each other.

    Returns
    -------
    Tensor, shape (batch, out_channels, out_height, out_width)

    Raises
    ------
    ShapeError
        If channels do not fit, or no window does.
    DtypeError
        If the dtypes differ.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.conv2d(nb.ones(1, 1, 3, 3), nb.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    check_images("conv2d", input.shape)
    if weight.ndim != 4:
        raise ShapeError(f"conv2d: expected a 4D weight, got shape {weight.shape}")
    if input.dtype != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
        raise DtypeError(
            f"conv2d: Input type ({input.dtype}) and weight type ({weight.dtype}) should be the same, and the bias "
            f"too; convert with .to(...)"
        )
    batch = input if input.ndim == 4 else input[None]
    plan = Plan(batch.shape, weight.shape, stride, padding, dilation, groups)
    x, w = contiguous(batch), contiguous(weight)
    y = empty((plan.n, groups, plan.o // groups, plan.places), x.dtype)
    np.matmul(w.reshape(groups, plan.o // groups, -1), plan.columns(x), out=y)
    if bias is not None:
        _add_channel_bias(y, contiguous(bias), plan.n, plan.o, plan.places)
    y = y.reshape(plan.n, plan.o, plan.oh, plan.ow)
    residuals = (x if needs[1] else None, w if needs[0] else None, needs[2], plan, input.ndim)
    return (y if input.ndim == 4 else y[0]), residuals


@conv2d.vjp
def conv2d(residuals, g):
    # columns_bar = W^T g, W_bar = sum over images of g columns^T
    x, w, with_bias, plan, ndim = residuals
    groups, filters = plan.groups, plan.o // plan.groups
    g = contiguous(g).reshape(plan.n, groups, filters, plan.places)
    x_bar = w_bar = b_bar = None
    if w is not None:
        flat = w.reshape(groups, filters, -1).swapaxes(1, 2)
        columns_bar = empty((plan.n, groups, plan.rows // groups, plan.places), g.dtype)
        np.matmul(flat, g, out=columns_bar)
        if plan.is_plain:
            x_bar = columns_bar.reshape(plan.n, plan.c, plan.h, plan.w)
        else:
            x_bar = empty((plan.n, plan.c, plan.h, plan.w), g.dtype)
            _col2im(columns_bar, x_bar, *plan.numbers())
        x_bar = x_bar if ndim == 4 else x_bar[0]
    if x is not None:
        w_bar = np.matmul(g, plan.columns(x).swapaxes(2, 3)).sum(0)
        w_bar = w_bar.reshape(plan.o, plan.cg, plan.kh, plan.kw)
    if with_bias:
        b_bar = empty((plan.o,), g.dtype)
        _channel_sums(g, b_bar, plan.n, plan.o, plan.places)
    return x_bar, w_bar, b_bar


@kernel("A>Annnnnnnnnnnnn")
def _im2col(x, columns, images, h, w, kh, kw, sh, sw, ph, pw, dh, dw, oh, ow):
    zero = x.dtype.type(0)
    for image in range(images):
        plane = x[image * h * w : (image + 1) * h * w]
        for ki in range(kh):
            for kj in range(kw):
                start = ((image * kh + ki) * kw + kj) * oh * ow
                # Output columns lo..hi-1 read inside the image.
                shift = kj * dw - pw
                lo = min(ow, max(0, (-shift + sw - 1) // sw))
                hi = min(ow, max(lo, (w - shift + sw - 1) // sw))
                for i in range(oh):
                    row = columns[start + i * ow : start + (i + 1) * ow]
                    y = i * sh + ki * dh - ph
                    if y < 0 or y >= h:
                        for j in range(ow):
                            row[j] = zero
                    else:
                        for j in range(lo):
                            row[j] = zero
                        source = plane[y * w : (y + 1) * w]
                        if sw == 1:
                            run = source[lo + shift : hi + shift]
                            for j in range(hi - lo):
                                row[lo + j] = run[j]
                        else:
                            for j in range(lo, hi):
                                row[j] = source[j * sw + shift]
                        for j in range(hi, ow):
                            row[j] = zero


@kernel("A>Annnnnnnnnnnnn")
def _col2im(columns, x, images, h, w, kh, kw, sh, sw, ph, pw, dh, dw, oh, ow):
    zero = x.dtype.type(0)
    for image in range(images):
        plane = x[image * h * w : (image + 1) * h * w]
        for k in range(plane.size):
            plane[k] = zero
        for ki in range(kh):
            for kj in range(kw):
                start = ((image * kh + ki) * kw + kj) * oh * ow
                shift = kj * dw - pw
                lo = min(ow, max(0, (-shift + sw - 1) // sw))
                hi = min(ow, max(lo, (w - shift + sw - 1) // sw))
                for i in range(oh):
                    y = i * sh + ki * dh - ph
                    if y >= 0 and y < h:
                        row = columns[start + i * ow : start + (i + 1) * ow]
                        target = plane[y * w : (y + 1) * w]
                        if sw == 1:
                            run = target[lo + shift : hi + shift]
                            for j in range(hi - lo):
                                run[j] += row[lo + j]
                        else:
                            for j in range(lo, hi):
                                target[j * sw + shift] += row[j]


@kernel(">AAnnn")
def _add_channel_bias(y, bias, n, channels, places):
    for k in range(n * channels):
        row = y[k * places : (k + 1) * places]
        b = bias[k % channels]
        for j in range(places):
            row[j] += b


@kernel("A>Annn")
def _channel_sums(g, total, n, channels, places):
    zero = g.dtype.type(0)
    for c in range(channels):
        total[c] = zero
    for k in range(n * channels):
        row = g[k * places : (k + 1) * places]
        partial = zero
        for j in range(places):
            partial += row[j]
        total[k % channels] += partial
