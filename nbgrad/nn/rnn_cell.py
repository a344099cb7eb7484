"""RNNCell, LSTMCell and GRUCell: one step of a recurrent layer, for loops of your own.

Names and layout of the parameters are PyTorch's (weight_ih, weight_hh, bias_ih, bias_hh; gates in the order i f g o for LSTM
and r z n for GRU).
"""

import math
from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import ShapeError
from nbgrad.nn import init
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops import chunk, empty, relu, sigmoid, tanh, zeros
from nbgrad.ops.linear import linear


class Cell(Module):
    """What the three share: parameters, and a batch that may be missing."""

    n_gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.n_gates * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, dtype=dtype, device=device))
        self.weight_hh = Parameter(empty(rows, hidden_size, dtype=dtype, device=device))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly from +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def checked(self, x: Tensor, *states: Tensor | None) -> list:
        """The input and the states as batches, zeros for missing ones."""
        name = type(self).__name__
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: Expected input to be 1D or 2D with {self.input_size} features, got shape {tuple(x.shape)}"
            )
        batch = x if x.ndim == 2 else x.unsqueeze(0)
        found = [batch]
        for state in states:
            if state is None:
                state = zeros(batch.shape[0], self.hidden_size, dtype=x.dtype)
            elif state.shape != (*x.shape[:-1], self.hidden_size):
                raise ShapeError(
                    f"{name}: hidden state of shape {tuple(state.shape)} for input of shape {tuple(x.shape)}; expected "
                    f"{(*x.shape[:-1], self.hidden_size)}"
                )
            found.append(state if state.ndim == 2 else state.unsqueeze(0))
        return found

    def gates(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """What the input and what the state say."""
        return (
            linear(x, self.weight_ih, self.bias_ih),
            linear(h, self.weight_hh, self.bias_hh),
        )

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.RNNCell(3, 5)(nb.ones(2, 3)).shape
    Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNNCell: Unknown nonlinearity: {nonlinearity}; it is 'tanh' or 'relu'"
            )
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        x, h = self.checked(input, hx)
        own, other = self.gates(x, h)
        y = tanh(own + other) if self.nonlinearity == "tanh" else relu(own + other)
        return y if input.ndim == 2 else y.squeeze(0)


class LSTMCell(Cell):
    """One step of long short-term memory; the state is the pair (h, c).

    Examples
    --------
    >>> import nbgrad as nb
    >>> h, c = nb.nn.LSTMCell(3, 5)(nb.ones(2, 3))
    >>> h.shape, c.shape
    (Size([2, 5]), Size([2, 5]))
    """

    n_gates = 4

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Tensor]:
        x, h, c = self.checked(input, *((None, None) if hx is None else hx))
        own, other = self.gates(x, h)
        i, f, g, o = chunk(own + other, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return (h, c) if input.ndim == 2 else (h.squeeze(0), c.squeeze(0))


class GRUCell(Cell):
    """One step of a gated recurrent unit.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.GRUCell(3, 5)(nb.ones(3)).shape
    Size([5])
    """

    n_gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        x, h = self.checked(input, hx)
        own, other = self.gates(x, h)
        rx, zx, nx = chunk(own, 3, 1)
        rh, zh, nh = chunk(other, 3, 1)
        z = sigmoid(zx + zh)
        n = tanh(nx + sigmoid(rx + rh) * nh)
        y = n + z * (h - n)
        return y if input.ndim == 2 else y.squeeze(0)
