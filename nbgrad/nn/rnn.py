"""Recurrent layers: RNN and GRU, step by step of small operations, and LSTM, whose steps are one operation (ops/lstm.py).

    x (time, batch, features) ── one matmul for all steps ──► gates from x
    h_0 ──► step 1 ──► step 2 ──► ...                        each adds h W_hh^T + b_hh to its row

Names and layout of the parameters are PyTorch's (weight_ih_l0, ..., gates in the order i f g o for LSTM and r z n for GRU),
so state_dicts port.
"""

import math
from typing import Any

from nbgrad.autograd import Parameter, Tensor
from nbgrad.errors import ShapeError
from nbgrad.nn import init
from nbgrad.nn.module import Module, check_positive
from nbgrad.ops import cat, chunk, empty, sigmoid, stack, tanh, unbind, zeros
from nbgrad.ops.dropout import dropout
from nbgrad.ops.linear import linear
from nbgrad.ops.lstm import lstm_sequence


class RecurrentBase(Module):
    """What the three layers share: parameters, layers, directions, time."""

    n_gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        check_positive(type(self).__name__, **sizes)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional = bidirectional
        rows, n_directions = self.n_gates * hidden_size, 2 if bidirectional else 1
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * n_directions
            for suffix in self.suffixes(layer):
                self.register_parameter(f"weight_ih{suffix}", Parameter(empty(rows, width)))
                self.register_parameter(f"weight_hh{suffix}", Parameter(empty(rows, hidden_size)))
                if bias:
                    self.register_parameter(f"bias_ih{suffix}", Parameter(empty(rows)))
                    self.register_parameter(f"bias_hh{suffix}", Parameter(empty(rows)))
        self.reset_parameters()

    def suffixes(self, layer: int) -> list[str]:
        """Ends of the names of a layer's parameters, one per direction."""
        return [f"_l{layer}"] + [f"_l{layer}_reverse"] * self.bidirectional

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly from +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def start(self, batch: int, like: Tensor) -> Any:
        """The state before the first step, all zeros."""
        n_directions = 2 if self.bidirectional else 1
        return zeros(self.num_layers * n_directions, batch, self.hidden_size, dtype=like.dtype)

    def split_state(self, state: Any) -> list:
        """The state of each layer and direction."""
        return list(unbind(state, 0))

    def join_state(self, states: list) -> Any:
        return stack(states, 0)

    def step(self, gates_x: Tensor, state: Any, weight_hh: Tensor, bias_hh: Any) -> tuple:
        """One step: (output, next state)."""
        raise NotImplementedError

    def forward(self, input: Tensor, hx: Any = None) -> tuple:
        """Outputs of all steps, and the state after the last one."""
        alone = input.ndim == 2
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: input must have 2 or 3 dimensions and {self.input_size} features at the end, got shape "
                f"{tuple(input.shape)}"
            )
        if alone:
            input = input.unsqueeze(1)
            hx = None if hx is None else self.lift(hx)
        elif self.batch_first:
            input = input.transpose(0, 1)
        states = self.split_state(self.start(input.shape[1], input) if hx is None else hx)
        ends: list = []
        x = input
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self.suffixes(layer):
                y, end = self.run(x, suffix, states[len(ends)])
                outputs.append(y)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, 2)
            if self.dropout and layer < self.num_layers - 1:
                x = dropout(x, self.dropout, self.training)
        state = self.join_state(ends)
        if alone:
            return x.squeeze(1), self.drop(state)
        return (x.transpose(0, 1) if self.batch_first else x), state

    def lift(self, hx: Any) -> Any:
        return tuple(part.unsqueeze(1) for part in hx) if isinstance(hx, tuple) else hx.unsqueeze(1)

    def drop(self, state: Any) -> Any:
        return (
            tuple(part.squeeze(1) for part in state)
            if isinstance(state, tuple)
            else state.squeeze(1)
        )

    def run(self, x: Tensor, suffix: str, state: Any) -> tuple:
        """One layer in one direction over all steps."""
        weight_ih, weight_hh = (
            getattr(self, f"weight_ih{suffix}"),
            getattr(self, f"weight_hh{suffix}"),
        )
        bias_ih = getattr(self, f"bias_ih{suffix}") if self.bias else None
        bias_hh = getattr(self, f"bias_hh{suffix}") if self.bias else None
        rows = list(unbind(linear(x, weight_ih, bias_ih), 0))
        back = suffix.endswith("_reverse")
        outputs = []
        for row in reversed(rows) if back else rows:
            y, state = self.step(row, state, weight_hh, bias_hh)
            outputs.append(y)
        return stack(outputs[::-1] if back else outputs, 0), state

    def weights(self, suffix: str) -> tuple:
        """Both weights of a layer and direction, and the sum of its biases."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if self.bias else 2]
        weight_ih, weight_hh, *biases = [getattr(self, name + suffix) for name in names]
        return weight_ih, weight_hh, biases[0] + biases[1] if biases else None

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + (
            f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        )


class RNN(RecurrentBase):
    """Elman network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Examples
    --------
    >>> import nbgrad as nb
    >>> y, h = nb.nn.RNN(3, 5)(nb.ones(4, 2, 3))
    >>> y.shape, h.shape
    (Size([4, 2, 5]), Size([1, 2, 5]))
    """

    def step(self, gates_x: Tensor, state: Any, weight_hh: Tensor, bias_hh: Any) -> tuple:
        h = tanh(gates_x + linear(state, weight_hh, bias_hh))
        return h, h


class LSTM(RecurrentBase):
    """Long short-term memory; the state is the pair (h, c).

    References
    ----------
    Hochreiter and Schmidhuber 1997, Long short-term memory.

    Examples
    --------
    >>> import nbgrad as nb
    >>> y, (h, c) = nb.nn.LSTM(3, 5, num_layers=2)(nb.ones(4, 2, 3))
    >>> y.shape, h.shape, c.shape
    (Size([4, 2, 5]), Size([2, 2, 5]), Size([2, 2, 5]))
    """

    n_gates = 4

    def start(self, batch: int, like: Tensor) -> Any:
        return super().start(batch, like), super().start(batch, like)

    def split_state(self, state: Any) -> list:
        return list(zip(unbind(state[0], 0), unbind(state[1], 0), strict=True))

    def join_state(self, states: list) -> Any:
        return stack([h for h, _ in states], 0), stack([c for _, c in states], 0)

    def run(self, x: Tensor, suffix: str, state: Any) -> tuple:
        """One layer in one direction over all steps, which are one operation."""
        weight_ih, weight_hh, bias = self.weights(suffix)
        back = suffix.endswith("_reverse")
        y, c = lstm_sequence(x, *state, weight_ih, weight_hh, bias, back)
        return y, (y[0] if back else y[-1], c)


class GRU(RecurrentBase):
    """Gated recurrent unit.

    References
    ----------
    Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Examples
    --------
    >>> import nbgrad as nb
    >>> y, h = nb.nn.GRU(3, 5)(nb.ones(4, 2, 3))
    >>> y.shape
    Size([4, 2, 5])
    """

    n_gates = 3

    def step(self, gates_x: Tensor, state: Any, weight_hh: Tensor, bias_hh: Any) -> tuple:
        rx, zx, nx = chunk(gates_x, 3, 1)
        rh, zh, nh = chunk(linear(state, weight_hh, bias_hh), 3, 1)
        z = sigmoid(zx + zh)
        n = tanh(nx + sigmoid(rx + rh) * nh)
        h = n + z * (state - n)
        return h, h
