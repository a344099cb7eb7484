"""The arithmetic of convolutions: windows written side by side (im2col), then one matrix product per image.

    x (C, H, W) ──im2col──> (C kh kw, oh ow) ──W──> y (O, oh ow)

The columns are made again in the backward pass instead of being kept: they take kh kw times the memory of x.  They are made
and used for a few images at a time, so that they stay in the second-level cache (CACHE_BYTES).  With y the
product of x and W, the number <g, y> is linear in g, in x and in W, and its three derivatives are all that there is: `product`
by g, `image_bar` by x, `filter_bar` by W.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.errors import ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.windows import out_length, pair

CACHE_BYTES = 1 << 19  # of columns at a time
TURNED_ROWS = 64  # from here on the small matrix g is turned, not the columns: 1.1 instead of 2.1 ms for 64 images, 144 rows


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
        # each row of the columns is a plane of x, shifted
        self.is_same = (self.oh, self.ow, self.sh, self.sw) == (self.h, self.w, 1, 1)
        self.is_plain = (
            (self.kh, self.kw, self.sh, self.sw, self.ph, self.pw) == (1, 1, 1, 1, 0, 0)
        )  # fmt: skip

    def numbers(self, images: int) -> tuple:
        """Arguments of the kernels."""
        return (
            images * self.c, self.h, self.w, self.kh, self.kw, self.sh, self.sw,
            self.ph, self.pw, self.dh, self.dw, self.oh, self.ow,
        )  # fmt: skip

    def portions(self, dtype: np.dtype) -> tuple[list[slice], np.ndarray | None]:
        """Images that are taken at a time, and room for their columns, shape (images, groups, rows / groups, places)."""
        if self.is_plain:
            return [slice(0, self.n)], None
        n_bytes = self.rows * self.places * dtype.itemsize
        most = min(self.n, max(1, CACHE_BYTES // max(1, n_bytes)))
        shape = (most, self.groups, self.rows // self.groups, self.places)
        return [slice(k, min(k + most, self.n)) for k in range(0, self.n, max(1, most))], np.empty(
            shape, dtype
        )

    def fill(self, x: np.ndarray, room: np.ndarray | None) -> np.ndarray:
        """Windows of some images side by side."""
        n = len(x)
        if room is None:
            return x.reshape(n, self.groups, self.rows // self.groups, self.places)
        columns = room[:n]
        if self.is_same:
            _im2col_same(x, columns, *self.numbers(n)[:5], self.ph, self.pw, self.dh, self.dw)
        else:
            _im2col(x, columns, *self.numbers(n))
        return columns

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Windows of all images side by side, shape (n, groups, rows / groups, places)."""
        room = None
        if not self.is_plain:
            room = empty((self.n, self.groups, self.rows // self.groups, self.places), x.dtype)
        return self.fill(x, room)

    def images(self, columns: np.ndarray) -> np.ndarray:
        """The sums of windows, each written back where `columns` took it from."""
        if self.is_plain:
            return columns.reshape(self.n, self.c, self.h, self.w)
        x_bar = empty((self.n, self.c, self.h, self.w), columns.dtype)
        _col2im(columns, x_bar, *self.numbers(self.n))
        return x_bar

    def product(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The convolution of images and filters."""
        y = empty((self.n, self.groups, self.o // self.groups, self.places), x.dtype)
        filters = contiguous(w).reshape(self.groups, self.o // self.groups, -1)
        x = contiguous(x)
        portions, room = self.portions(x.dtype)
        for part in portions:
            np.matmul(filters, self.fill(x[part], room), out=y[part])
        return y.reshape(self.n, self.o, self.oh, self.ow)

    def rows_of(self, g: np.ndarray) -> np.ndarray:
        """A cotangent of the result as the matrices that `product` made."""
        return contiguous(g).reshape(self.n, self.groups, self.o // self.groups, self.places)

    def image_bar(self, g: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The cotangent of the images: each result written back over its window."""
        flat = w.reshape(self.groups, self.o // self.groups, -1).swapaxes(1, 2)
        rows = self.rows_of(g)
        x_bar = empty((self.n, self.c, self.h, self.w), g.dtype)
        portions, room = self.portions(g.dtype)
        for part in portions:
            if room is None:
                np.matmul(flat, rows[part], out=self.fill(x_bar[part], None))
            else:
                columns = room[: part.stop - part.start]
                np.matmul(flat, rows[part], out=columns)
                numbers = self.numbers(len(columns))
                if self.is_same:
                    _col2im_same(
                        columns, x_bar[part], *numbers[:5], self.ph, self.pw, self.dh, self.dw
                    )
                else:
                    _col2im(columns, x_bar[part], *numbers)
        return x_bar

    def filter_bar(self, g: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The cotangent of the filters: the sum over images of each result times its window."""
        x, rows = contiguous(x), self.rows_of(g)
        total = np.zeros((self.groups, self.o // self.groups, self.rows // self.groups), g.dtype)
        portions, room = self.portions(x.dtype)
        for part in portions:
            columns = self.fill(x[part], room)
            if columns.shape[2] < TURNED_ROWS:
                total += np.matmul(rows[part], columns.swapaxes(2, 3)).sum(0)
            else:
                turned = np.ascontiguousarray(rows[part].swapaxes(2, 3))
                total += np.matmul(columns, turned).sum(0).swapaxes(1, 2)
        return total.reshape(self.o, self.cg, self.kh, self.kw)


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


@kernel("A>Annnnnnnnn")
def _im2col_same(x, columns, images, h, w, kh, kw, ph, pw, dh, dw):
    # As `_im2col`, for windows around each place: one long run per row of the columns, then the places outside are zeroed.
    zero = x.dtype.type(0)
    size = h * w
    for image in range(images):
        plane = x[image * size : (image + 1) * size]
        for ki in range(kh):
            for kj in range(kw):
                start = ((image * kh + ki) * kw + kj) * size
                row = columns[start : start + size]
                side = kj * dw - pw
                shift = (ki * dh - ph) * w + side
                lo = min(size, max(0, -shift))
                hi = max(lo, min(size, size - shift))
                for k in range(lo):
                    row[k] = zero
                run, source = row[lo:hi], plane[lo + shift : hi + shift]
                for k in range(run.size):
                    run[k] = source[k]
                rest = row[hi:]
                for k in range(rest.size):
                    rest[k] = zero
                if side != 0:
                    width = min(w, abs(side))
                    edge = 0 if side < 0 else w - width
                    for i in range(h):
                        outside = row[i * w + edge : i * w + edge + width]
                        for j in range(outside.size):
                            outside[j] = zero


@kernel(">A>Annnnnnnnn")
def _col2im_same(columns, x, images, h, w, kh, kw, ph, pw, dh, dw):
    # Of the columns, places outside are zeroed here.
    zero = x.dtype.type(0)
    size = h * w
    for image in range(images):
        plane = x[image * size : (image + 1) * size]
        for k in range(plane.size):
            plane[k] = zero
        for ki in range(kh):
            for kj in range(kw):
                start = ((image * kh + ki) * kw + kj) * size
                row = columns[start : start + size]
                side = kj * dw - pw
                shift = (ki * dh - ph) * w + side
                lo = min(size, max(0, -shift))
                hi = max(lo, min(size, size - shift))
                if side != 0:
                    width = min(w, abs(side))
                    edge = 0 if side < 0 else w - width
                    for i in range(h):
                        outside = row[i * w + edge : i * w + edge + width]
                        for j in range(outside.size):
                            outside[j] = zero
                run, target = row[lo:hi], plane[lo + shift : hi + shift]
                for k in range(run.size):
                    target[k] += run[k]


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
