"""Convolutions of one dimension, and transposed ones: conv2d's three bilinear operations under other names.

A transposed convolution is what carries cotangents of a convolution's result back to its images, so its forward is
`conv_image_bar`, and the derivatives of that are convolutions.
"""

from typing import Any

from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops.conv2d import conv2d, conv_image_bar
from nbgrad.ops.conv_plan import Plan
from nbgrad.ops.shape import reshape, squeeze, unsqueeze
from nbgrad.ops.windows import check_images, pair


def single(value: Any) -> Any:
    """The argument of a convolution of one dimension as one of two: (1, value); words stay."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        (value,) = value
    return int(value)


def row(value: Any, other: int) -> Any:
    value = single(value)
    return value if isinstance(value, str) else (other, value)


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """One-dimensional convolution (cross-correlation, as in all frameworks).

    Parameters
    ----------
    input : Tensor, shape (batch, channels, length) or (channels, length)
        Signals.
    weight : Tensor, shape (out_channels, channels / groups, kernel)
        One filter per output channel.
    bias : Tensor, shape (out_channels,), optional
        Added to each output channel.
    stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    Tensor, shape (batch, out_channels, out_length)

    Raises
    ------
    ShapeError
        If channels do not fit, or no window does.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.conv1d(nb.arange(4.0).reshape(1, 1, 4), nb.ones(1, 1, 2))
    tensor([[[1., 3., 5.]]])
    """
    if input.ndim not in (2, 3) or weight.ndim != 3:
        raise ShapeError(
            f"conv1d: expected 2D (channels, length) or 3D (batch, channels, length) input and a 3D weight, got "
            f"{tuple(input.shape)} and {tuple(weight.shape)}"
        )
    y = conv2d(
        unsqueeze(input, -2), unsqueeze(weight, -2), bias,
        row(stride, 1), row(padding, 0), row(dilation, 1), groups,
    )  # fmt: skip
    return squeeze(y, -2)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Transposed two-dimensional convolution: each element of the input writes a filter into the result.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, height, width) or (channels, height, width)
        Images.
    weight : Tensor, shape (channels, out_channels / groups, kernel_height, kernel_width)
        One filter per pair of channels.
    bias : Tensor, shape (out_channels,), optional
        Added to each output channel.
    stride, dilation : int or pair of int
        Steps between the places where filters are written, and between the elements of one.
    padding : int or pair of int
        What is cut off the result on each side.
    output_padding : int or pair of int
        Rows and columns added at one side of the result, less than the stride.
    groups : int
        Channels are split into so many groups that do not see each other.

    Returns
    -------
    Tensor, shape (batch, out_channels, out_height, out_width)
        out = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.

    Raises
    ------
    ShapeError
        If channels do not fit, or nothing is left.
    DtypeError
        If the dtypes differ.

    References
    ----------
    Zeiler et al. 2010, Deconvolutional networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.conv_transpose2d(nb.ones(1, 1, 2, 2), nb.ones(1, 1, 2, 2))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    check_images("conv_transpose2d", tuple(input.shape))
    if weight.ndim != 4:
        raise ShapeError(f"conv_transpose2d: expected a 4D weight, got shape {tuple(weight.shape)}")
    kinds = {x.dtype for x in (input, weight, bias) if x is not None}
    if len(kinds) > 1:
        raise DtypeError(
            f"conv_transpose2d: input, weight and bias should have the same dtype, got {sorted(map(str, kinds))}; convert "
            f"with .to(...)"
        )
    images = input if input.ndim == 4 else unsqueeze(input, 0)
    n, channels, *sides = images.shape
    out_channels = weight.shape[1] * groups
    if channels != weight.shape[0] or channels % groups:
        raise ShapeError(
            f"conv_transpose2d: Given transposed=1, groups={groups}, weight of size {tuple(weight.shape)}, expected input "
            f"{tuple(input.shape)} to have {weight.shape[0]} channels, but got {channels} channels instead"
        )
    lengths = []
    for side, k, s, p, extra, d in zip(
        sides, weight.shape[2:], pair(stride), pair(padding), pair(output_padding), pair(dilation)
    ):
        if extra >= s:
            raise ShapeError(
                f"conv_transpose2d: output padding must be smaller than stride, got output_padding={extra} and stride={s}"
            )
        length = (side - 1) * s - 2 * p + d * (k - 1) + extra + 1
        if length < 1:
            raise ShapeError(
                f"conv_transpose2d: {side} elements, a window of {k} and padding {p} leave {length} elements"
            )
        lengths.append(length)
    plan = Plan(
        (n, out_channels, *lengths), tuple(weight.shape), stride, pair(padding), dilation, groups
    )
    y = conv_image_bar(images, weight, plan)
    if bias is not None:
        y = y + reshape(bias, (-1, 1, 1))
    return y if input.ndim == 4 else squeeze(y, 0)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Transposed one-dimensional convolution, see `conv_transpose2d`.

    Parameters
    ----------
    input : Tensor, shape (batch, channels, length) or (channels, length)
        Signals.
    weight : Tensor, shape (channels, out_channels / groups, kernel)
        One filter per pair of channels.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.conv_transpose1d(nb.ones(1, 1, 2), nb.ones(1, 1, 2), stride=2)
    tensor([[[1., 1., 1., 1.]]])
    """
    if input.ndim not in (2, 3) or weight.ndim != 3:
        raise ShapeError(
            f"conv_transpose1d: expected 2D (channels, length) or 3D (batch, channels, length) input and a 3D weight, got "
            f"{tuple(input.shape)} and {tuple(weight.shape)}"
        )
    y = conv_transpose2d(
        unsqueeze(input, -2), unsqueeze(weight, -2), bias,
        row(stride, 1), row(padding, 0), row(output_padding, 0), groups, row(dilation, 1),
    )  # fmt: skip
    return squeeze(y, -2)
