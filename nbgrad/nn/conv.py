"""Convolution layers."""

from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import ShapeError
from nbgrad.nn.linear import draw
from nbgrad.nn.module import Module
from nbgrad.ops import conv
from nbgrad.ops.conv2d import conv2d
from nbgrad.ops.creation import empty
from nbgrad.ops.windows import pair


def single(value: Any) -> tuple[int]:
    """3 -> (3,)."""
    if isinstance(value, tuple | list):
        (value,) = value
    return (int(value),)


class ConvBase(Module):
    """What the layers share: sizes, a weight and a bias; `n_dims` lengths per window."""

    weight: Parameter
    bias: Parameter | None
    n_dims = 2
    is_transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{name}: in_channels ({in_channels}) and out_channels ({out_channels}) must be divisible by groups "
                f"({groups})"
            )
        if padding_mode != "zeros":
            raise NotImplementedError(f'padding_mode="zeros" is the only one, got {padding_mode!r}')
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        sizes: Any = pair if self.n_dims == 2 else single
        self.kernel_size, self.stride = sizes(kernel_size), sizes(stride)
        self.dilation = sizes(dilation)
        self.padding = padding if isinstance(padding, str) else sizes(padding)
        rows, columns = out_channels, in_channels // groups
        if self.is_transposed:
            rows, columns = in_channels, out_channels // groups
        self.weight = Parameter(
            empty((rows, columns, *self.kernel_size), dtype=dtype, device=device)
        )
        if bias:
            self.bias = Parameter(empty(out_channels, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        fan_in = self.weight.shape[1]
        for k in self.kernel_size:
            fan_in *= k
        draw(self.weight, self.bias, fan_in)

    def sizes(self) -> tuple:
        """Arguments of the function after the bias."""
        return self.stride, self.padding, self.dilation, self.groups

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self.n_dims, (1,) * self.n_dims
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != zeros:
            text += f", padding={self.padding}"
        if self.dilation != ones:
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(ConvBase):
    """One-dimensional convolution; parameters as for `Conv2d`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Conv1d(2, 8, 3)(nb.zeros(5, 2, 10)).shape
    Size([5, 8, 8])
    """

    n_dims = 1

    def forward(self, input: Tensor) -> Tensor:
        return conv.conv1d(input, self.weight, self.bias, *self.sizes())


class Conv2d(ConvBase):
    """Two-dimensional convolution.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels before and after.
    kernel_size : int or pair of int
        Size of a window.
    stride, padding, dilation : int or pair of int
        As in `nn.functional.conv2d`; padding may be "same" or "valid".
    groups : int
        Channels are split into so many groups that do not see each other.
    bias : bool
        Whether a number is added to each output channel.

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.Conv2d(1, 8, 3, padding=1)
    >>> layer
    Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> layer(nb.zeros(2, 1, 8, 8)).shape
    Size([2, 8, 8, 8])
    """

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight, self.bias, *self.sizes())


class ConvTransposeBase(ConvBase):
    """Base of the transposed ones: the filters are written, not read."""

    is_transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
        sizes: Any = pair if self.n_dims == 2 else single
        self.output_padding = sizes(output_padding)

    def sizes(self) -> tuple:
        """Arguments of the function after the bias."""
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.output_padding != (0,) * self.n_dims:
            text += f", output_padding={self.output_padding}"
        return text


class ConvTranspose1d(ConvTransposeBase):
    """Transposed one-dimensional convolution; parameters as for `ConvTranspose2d`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.ConvTranspose1d(2, 8, 3, stride=2)(nb.zeros(5, 2, 4)).shape
    Size([5, 8, 9])
    """

    n_dims = 1

    def forward(self, input: Tensor) -> Tensor:
        return conv.conv_transpose1d(input, self.weight, self.bias, *self.sizes())


class ConvTranspose2d(ConvTransposeBase):
    """Transposed two-dimensional convolution.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels before and after.
    kernel_size : int or pair of int
        Size of a filter.
    stride, padding, output_padding, dilation : int or pair of int
        As in `nn.functional.conv_transpose2d`.
    groups : int
        Channels are split into so many groups that do not see each other.
    bias : bool
        Whether a number is added to each output channel.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.ConvTranspose2d(2, 8, 2, stride=2)(nb.zeros(5, 2, 4, 4)).shape
    Size([5, 8, 8, 8])
    """

    def forward(self, input: Tensor) -> Tensor:
        return conv.conv_transpose2d(input, self.weight, self.bias, *self.sizes())
