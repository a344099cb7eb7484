"""Layers without parameters that change sizes: Upsample, padding, Fold and Unfold."""

from typing import Any

from nbgrad.autograd import Tensor
from nbgrad.nn.module import Module
from nbgrad.ops.interpolate import interpolate
from nbgrad.ops.pad import pad
from nbgrad.ops.unfold import fold, unfold


class Upsample(Module):
    """Signals and images in another size, see `nn.functional.interpolate`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Upsample(scale_factor=2)(nb.zeros(1, 1, 2, 2)).shape
    Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        what = "size" if self.scale_factor is None else "scale_factor"
        return f"{what}={getattr(self, what)}, mode={self.mode!r}"


class Padding(Module):
    """Base: elements added around; one number for all sides, or as in `nn.functional.pad`."""

    n_dims = 2
    mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        many = isinstance(padding, tuple | list)
        self.padding = tuple(padding) if many else (padding,) * (2 * self.n_dims)

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(Padding):
    """Zeros at both ends."""

    n_dims = 1


class ZeroPad2d(Padding):
    """Zeros around images.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.ZeroPad2d(1)(nb.ones(1, 1, 1))
    tensor([[[0., 0., 0.],
             [0., 1., 0.],
             [0., 0., 0.]]])
    """


class ConstantPad1d(Padding):
    """One value at both ends."""

    n_dims = 1

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """One value around images."""

    n_dims = 2


class ReflectionPad1d(Padding):
    """Signals mirrored at their ends."""

    n_dims, mode = 1, "reflect"


class ReflectionPad2d(Padding):
    """Images mirrored at their edges."""

    mode = "reflect"


class ReplicationPad1d(Padding):
    """The first and the last elements again."""

    n_dims, mode = 1, "replicate"


class ReplicationPad2d(Padding):
    """The edges of images again."""

    mode = "replicate"


class Unfold(Module):
    """The windows of images as columns."""

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def sizes(self) -> tuple:
        """Arguments of the function."""
        return self.kernel_size, self.dilation, self.padding, self.stride

    def forward(self, input: Tensor) -> Tensor:
        return unfold(input, *self.sizes())

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Unfold):
    """Columns as `Unfold` gives them, summed into images."""

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return fold(input, self.output_size, *self.sizes())

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
