"""Pooling layers."""

from typing import Any

from nbgrad.autograd import Tensor
from nbgrad.nn.module import Module
from nbgrad.ops import pool


class MaxPool2d(Module):
    """The largest element of each window.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.MaxPool2d(2)(nb.zeros(1, 1, 4, 4)).shape
    Size([1, 1, 2, 2])
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor) -> Tensor:
        return pool.max_pool2d(input, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation=1, ceil_mode=False"
        )


class AvgPool2d(Module):
    """The mean of each window.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.AvgPool2d(2)(nb.ones(1, 1, 2, 2))
    tensor([[[[1.]]]])
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return pool.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.count_include_pad
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over windows chosen so that the result has a given size."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return pool.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
