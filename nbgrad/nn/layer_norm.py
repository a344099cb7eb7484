"""Layers that normalize rows: LayerNorm, RMSNorm, GroupNorm."""

from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.nn import init
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops import ones, zeros
from nbgrad.ops.layer_norm import group_norm, layer_norm, rms_norm


class Affine(Module):
    """A scale and a shift of one shape, or neither."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, shape: tuple, affine: bool, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        for name, start, wanted in (("weight", ones, affine), ("bias", zeros, affine and bias)):
            made = Parameter(start(*shape, dtype=dtype, device=device)) if wanted else None
            self.register_parameter(name, made)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class LayerNorm(Affine):
    """Normalize over the last dimensions, then scale and shift: `nn.functional.layer_norm`.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Those dimensions.
    eps : float
        Added to variances.
    elementwise_affine : bool
        Whether there are a scale and a shift per element.
    bias : bool
        Whether there is a shift.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.LayerNorm(2)(nb.tensor([[1.0, 3.0]])).detach()
    tensor([[-1.0000,  1.0000]])
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = normalized_shape
        self_shape = (shape,) if isinstance(shape, int) else tuple(shape)
        super().__init__(self_shape, elementwise_affine, bias, device, dtype)
        self.normalized_shape, self.eps = self_shape, eps
        self.elementwise_affine = elementwise_affine

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Affine):
    """Divide by the root of the mean square over the last dimensions, then scale: `nn.functional.rms_norm`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.RMSNorm(2)(nb.tensor([[1.0, 7.0]])).detach()
    tensor([[0.2000, 1.4000]])
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = normalized_shape
        self_shape = (shape,) if isinstance(shape, int) else tuple(shape)
        super().__init__(self_shape, elementwise_affine, False, device, dtype)
        self.normalized_shape, self.eps = self_shape, eps
        self.elementwise_affine = elementwise_affine

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Affine):
    """Normalize over groups of channels, then scale and shift each channel: `nn.functional.group_norm`.

    Parameters
    ----------
    num_groups, num_channels : int
        The first divides the second.
    eps : float
        Added to variances.
    affine : bool
        Whether there are a scale and a shift per channel.

    Raises
    ------
    ValueError
        If the channels can't be divided into so many groups.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.GroupNorm(2, 4)(nb.tensor([[1.0, 3.0, 5.0, 9.0]])).detach()
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        super().__init__((num_channels,), affine, True, device, dtype)
        self.num_groups, self.num_channels, self.eps, self.affine = (
            num_groups,
            num_channels,
            eps,
            affine,
        )

    def forward(self, input: Tensor) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
