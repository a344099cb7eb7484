"""unfold and fold: the windows of images side by side, and their sum back into images; Tensor.unfold: windows of a dimension.

unfold and fold are linear, and each is the other's VJP.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.conv_plan import Plan
from nbgrad.ops.dims import dim_of
from nbgrad.ops.index import index_select
from nbgrad.ops.pointwise import floats
from nbgrad.ops.shape import permute, reshape
from nbgrad.ops.windows import check_images, pair


@op
def windows_of(x, plan):
    """The windows of images, shape (n, channels * window, places)."""
    y = plan.columns(floats(x)).reshape(plan.n, plan.rows, plan.places)
    return own(y, x), (plan,)


@windows_of.vjp
def windows_of(residuals, g):
    (plan,) = residuals
    return (plan.images(contiguous(g)),)


@windows_of.double()
def windows_of(residuals, g):
    (plan,) = residuals
    return (images_of(g, plan),)


@op
def images_of(x, plan):
    """The sums of windows, each written back where it comes from."""
    return own(plan.images(floats(x)), x), (plan,)


@images_of.vjp
def images_of(residuals, g):
    (plan,) = residuals
    return (plan.columns(contiguous(g)).reshape(plan.n, plan.rows, plan.places),)


@images_of.double()
def images_of(residuals, g):
    (plan,) = residuals
    return (windows_of(g, plan),)


def own(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """y, or a copy where it is x in another shape (windows of one element): a result has memory of its own."""
    return y.copy() if np.may_share_memory(y, x) else y


def plan_of(shape: tuple, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Plan:
    return Plan(shape, (1, shape[1], *pair(kernel_size)), stride, pair(padding), dilation, 1)


def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """The windows of images as columns.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, height, width) or (channels, height, width)
        Images.
    kernel_size, dilation, padding, stride : int or pair of int
        As for `conv2d`.

    Returns
    -------
    Tensor, shape (batch, channels * kernel_height * kernel_width, number of windows)

    Raises
    ------
    ShapeError
        If no window fits.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.unfold(nb.arange(4.0).reshape(1, 1, 2, 2), (1, 2))
    tensor([[[0., 2.],
             [1., 3.]]])
    """
    check_images("unfold", tuple(input.shape))
    images = input if input.ndim == 4 else input.unsqueeze(0)
    y = windows_of(images, plan_of(tuple(images.shape), kernel_size, dilation, padding, stride))
    return y if input.ndim == 4 else y.squeeze(0)


def fold(
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    """Columns as `unfold` gives them summed into images.

    Parameters
    ----------
    input : Tensor, shape (batch, channels * kernel_height * kernel_width, number of windows), or without batch
        Columns.
    output_size : int or pair of int
        Height and width of the images.
    kernel_size, dilation, padding, stride : int or pair of int
        As for `unfold`.

    Returns
    -------
    Tensor, shape (batch, channels, height, width)

    Raises
    ------
    ShapeError
        If the columns are not those of such images.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.fold(nb.ones(1, 2, 2), (1, 3), (1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    columns = input if input.ndim == 3 else input.unsqueeze(0)
    kh, kw = pair(kernel_size)
    n, rows, places = columns.shape
    if rows % (kh * kw):
        raise ShapeError(
            f"fold: Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got {rows} and "
            f"kernel_size={(kh, kw)}"
        )
    shape = (n, rows // (kh * kw), *pair(output_size))
    plan = plan_of(shape, kernel_size, dilation, padding, stride)
    if plan.places != places:
        raise ShapeError(
            f"fold: images of {pair(output_size)} have {plan.places} such windows, and the input has {places}"
        )
    y = images_of(columns, plan)
    return y if input.ndim == 3 else y.squeeze(0)


def unfold_dimension(x: Any, dimension: int, size: int, step: int) -> Any:
    """The windows of one dimension, their elements in a new last dimension; a copy.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    axis = dim_of(dimension, x.ndim)
    n = x.shape[axis]
    if step < 1 or not 0 <= size <= n:
        raise ShapeError(
            f"unfold: maximum size for tensor at dimension {axis} is {n} but size is {size}, step {step}"
        )
    count = (n - size) // step + 1
    places = np.arange(count)[:, None] * step + np.arange(size)
    shape = (*x.shape[:axis], count, size, *x.shape[axis + 1 :])
    y = reshape(index_select(x, axis, Tensor(places.reshape(-1))), shape)
    return permute(y, *[d for d in range(y.ndim) if d != axis + 1], axis + 1)
