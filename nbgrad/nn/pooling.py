"""Pooling layers."""

from typing import Any

from nbgrad.autograd import Tensor
from nbgrad.nn.module import Module
from nbgrad.ops import adaptive_pool, pool


class MaxPool(Module):
    """Base: the largest element of each window."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def sizes(self) -> tuple:
        """Arguments of the function."""
        windows = (self.kernel_size, self.stride, self.padding, self.dilation)
        return *windows, self.ceil_mode, self.return_indices

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(MaxPool):
    """The largest element of each window of signals."""

    def forward(self, input: Tensor) -> Tensor:
        return pool.max_pool1d(input, *self.sizes())


class MaxPool2d(MaxPool):
    """The largest element of each window.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.MaxPool2d(2)(nb.zeros(1, 1, 4, 4)).shape
    Size([1, 1, 2, 2])
    """

    def forward(self, input: Tensor) -> Tensor:
        return pool.max_pool2d(input, *self.sizes())


class AvgPool(Module):
    """Base: the mean of each window."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def sizes(self) -> tuple:
        """Arguments of the function."""
        windows = (self.kernel_size, self.stride, self.padding)
        return *windows, self.ceil_mode, self.count_include_pad

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(AvgPool):
    """The mean of each window of signals."""

    def forward(self, input: Tensor) -> Tensor:
        return pool.avg_pool1d(input, *self.sizes())


class AvgPool2d(AvgPool):
    """The mean of each window.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.AvgPool2d(2)(nb.ones(1, 1, 2, 2))
    tensor([[[[1.]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return pool.avg_pool2d(input, *self.sizes())


class AdaptivePool(Module):
    """Base: windows chosen so that the result has a given size."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptivePool):
    """Means over windows of signals, chosen so that the result has a given size."""

    def forward(self, input: Tensor) -> Tensor:
        return adaptive_pool.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(AdaptivePool):
    """Means over windows chosen so that the result has a given size."""

    def forward(self, input: Tensor) -> Tensor:
        return adaptive_pool.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool1d(AdaptivePool):
    """Maxima over windows of signals, chosen so that the result has a given size."""

    def forward(self, input: Tensor) -> Tensor:
        return adaptive_pool.adaptive_max_pool1d(input, self.output_size)


class AdaptiveMaxPool2d(AdaptivePool):
    """Maxima over windows chosen so that the result has a given size."""

    def forward(self, input: Tensor) -> Tensor:
        return adaptive_pool.adaptive_max_pool2d(input, self.output_size)
