"""Convolution layers."""

from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import ShapeError
from nbgrad.nn.linear import draw
from nbgrad.nn.module import Module
from nbgrad.ops.conv2d import conv2d
from nbgrad.ops.creation import empty
from nbgrad.ops.windows import pair


class Conv2d(Module):
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

    weight: Parameter
    bias: Parameter | None

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
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"Conv2d: in_channels ({in_channels}) and out_channels ({out_channels}) must be divisible by groups "
                f"({groups})"
            )
        if padding_mode != "zeros":
            raise NotImplementedError(f'padding_mode="zeros" is the only one, got {padding_mode!r}')
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = (
            pair(kernel_size),
            pair(stride),
            pair(dilation),
        )
        self.padding = padding if isinstance(padding, str) else pair(padding)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(empty(out_channels, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        kh, kw = self.kernel_size
        draw(self.weight, self.bias, self.in_channels // self.groups * kh * kw)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else text + ", bias=False"
