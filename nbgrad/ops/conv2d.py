"""conv2d, and the three bilinear operations of which it and its derivatives consist: see `nbgrad.ops.conv_plan`."""

from typing import Any

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.conv_plan import Plan
from nbgrad.ops.windows import check_images


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
    plan = Plan(batch_of(input).shape, weight.shape, stride, padding, dilation, groups)
    y = plan.product(batch_of(input), weight)
    if bias is not None:
        _add_channel_bias(y, contiguous(bias), plan.n, plan.o, plan.places)
    residuals = (
        input if needs[1] else None,
        weight if needs[0] else None,
        needs[2],
        plan,
        input.ndim,
    )
    return (y if input.ndim == 4 else y[0]), residuals


@conv2d.vjp
def conv2d(residuals, g):
    x, w, with_bias, plan, ndim = residuals
    g = contiguous(batch_of(g))
    x_bar = w_bar = b_bar = None
    if w is not None:
        x_bar = plan.image_bar(g, w)
        x_bar = x_bar if ndim == 4 else x_bar[0]
    if x is not None:
        w_bar = plan.filter_bar(g, batch_of(x))
    if with_bias:
        b_bar = empty((plan.o,), g.dtype)
        _channel_sums(g, b_bar, plan.n, plan.o, plan.places)
    return x_bar, w_bar, b_bar


@conv2d.double("0 1")
def conv2d(residuals, g):
    x, w, with_bias, plan, ndim = residuals
    g = batch_of(g)
    x_bar = None if w is None else conv_image_bar(g, w, plan)
    w_bar = None if x is None else conv_filter_bar(g, batch_of(x), plan)
    if x_bar is not None and ndim == 3:
        x_bar = x_bar.squeeze(0)
    return x_bar, w_bar, g.sum((0, 2, 3)) if with_bias else None


def batch_of(images: Any) -> Any:
    """One image as a batch of one."""
    return images if images.ndim == 4 else images[None]


# ---------------------------------------------------------------- the product and its derivatives, each differentiable


@op(inputs=2)
def conv_product(x, w, plan):
    """The convolution of images and filters of a plan."""
    return plan.product(x, w), (x, w, plan)


@conv_product.vjp
def conv_product(residuals, g):
    x, w, plan = residuals
    return plan.image_bar(g, w), plan.filter_bar(g, x)


@conv_product.double("0 1")
def conv_product(residuals, g):
    x, w, plan = residuals
    return conv_image_bar(g, w, plan), conv_filter_bar(g, x, plan)


@op(inputs=2)
def conv_image_bar(g, w, plan):
    """The cotangent of the images: a transposed convolution."""
    return plan.image_bar(g, w), (g, w, plan)


@conv_image_bar.vjp
def conv_image_bar(residuals, u):
    g, w, plan = residuals
    return plan.product(u, w), plan.filter_bar(g, u)


@conv_image_bar.double("0 1")
def conv_image_bar(residuals, u):
    g, w, plan = residuals
    return conv_product(u, w, plan), conv_filter_bar(g, u, plan)


@op(inputs=2)
def conv_filter_bar(g, x, plan):
    """The cotangent of the filters."""
    return plan.filter_bar(g, x), (g, x, plan)


@conv_filter_bar.vjp
def conv_filter_bar(residuals, u):
    g, x, plan = residuals
    return plan.product(x, u), plan.image_bar(g, u)


@conv_filter_bar.double("0 1")
def conv_filter_bar(residuals, u):
    g, x, plan = residuals
    return conv_product(x, u, plan), conv_image_bar(g, u, plan)


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
