"""Linear and Identity layers."""

import math
from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.nn import init
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops.creation import empty
from nbgrad.ops.linear import linear


class Identity(Module):
    """Returns its argument; any other arguments are ignored.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Identity()(nb.ones(1))
    tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """x W^T + b.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of the last dimension before and after.
    bias : bool
        Whether there is a b.

    Notes
    -----
    Initial values as in PyTorch: all uniform in [-k, k), k = 1 / sqrt(in_features).

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.Linear(3, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(nb.zeros(5, 3)).shape
    Size([5, 2])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(empty(out_features, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        draw(self.weight, self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


def draw(weight: Parameter, bias: Parameter | None, fan_in: int) -> None:
    """Initial values of linear and convolution layers: uniform in [-k, k), k = 1 / sqrt(fan_in)."""
    if weight.array.size:
        init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)
