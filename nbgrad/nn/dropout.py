"""Dropout layers."""

from nbgrad.autograd import Tensor
from nbgrad.nn.module import Module
from nbgrad.ops.dropout import dropout, dropout2d


class Dropout(Module):
    """In training mode, zero elements with probability p and scale the others by 1 / (1 - p).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Dropout(0.5).eval()(nb.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """As `Dropout`, for whole channels of inputs of shape (n, channels, height, width).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Dropout2d(0.5).eval()(nb.ones(1, 2, 1, 1)).shape
    Size([1, 2, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        return dropout2d(input, self.p, self.training)
