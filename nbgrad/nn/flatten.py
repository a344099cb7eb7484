"""Flatten and its inverse."""

from typing import Any

from nbgrad.autograd import Tensor
from nbgrad.nn.module import Module
from nbgrad.ops import shape


class Flatten(Module):
    """Dimensions `start_dim` to `end_dim` made one; the batch dimension is kept by default.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Flatten()(nb.zeros(2, 3, 4)).shape
    Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return shape.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One dimension made several.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Unflatten(1, (3, 4))(nb.zeros(2, 12)).shape
    Size([2, 3, 4])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        old = tuple(input.shape)
        dim = self.dim % len(old)
        return shape.reshape(input, (*old[:dim], *self.unflattened_size, *old[dim + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
