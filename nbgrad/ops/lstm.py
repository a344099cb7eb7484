"""lstm_sequence: all steps of an LSTM layer in one operation, the gates of a step in one pass over memory.

    x (time, batch, features) ── W_ih^T, one product for all steps ──► gates (time, batch, 4 hidden)
    h_0 ── W_hh^T ──► + gates[0] + bias ──► i f g o ──► c_1, h_1 ── W_hh^T ──► + gates[1] ──► ...

The gates take the place of the product.  Backward goes the other way, with one small product per step; the gradients of the
weights are one product each for all steps.
"""

import functools
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.derive import grad
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.jit.fmath import sigmoid as sigmoid_of
from nbgrad.jit.fmath import tanh as tanh_of
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.join import chunk, stack, unbind
from nbgrad.ops.pointwise import sigmoid, tanh


@op(inputs=6, many=True)
def lstm_sequence(x, h, c, weight_ih, weight_hh, bias=None, back=False, needs=None):
    """Outputs of all steps of an LSTM layer, and its last cell state.

    Parameters
    ----------
    x : Tensor, shape (time, batch, features)
        At least one step.
    h, c : Tensor, shape (batch, hidden)
        The state before the first step.
    weight_ih, weight_hh : Tensor, shapes (4 hidden, features) and (4 hidden, hidden)
        From the inputs, and from the output of the step before, to the gates, in the order i f g o.
    bias : Tensor, shape (4 hidden,), optional
        Added to the gates.
    back : bool
        Whether time runs backwards.

    Returns
    -------
    (Tensor, Tensor), shapes (time, batch, hidden) and (batch, hidden)
        Outputs, and the cell state after the last step; the last output is the other half of the state.

    Raises
    ------
    ShapeError, DtypeError
        If shapes do not fit, or dtypes differ.

    References
    ----------
    Hochreiter and Schmidhuber 1997, Long short-term memory.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad.ops.lstm import lstm_sequence
    >>> y, c = lstm_sequence(nb.zeros(3, 1, 2), nb.zeros(1, 1), nb.ones(1, 1), nb.zeros(4, 2), nb.zeros(4, 1))
    >>> c
    tensor([[0.1250]])
    """
    check("lstm_sequence", 4, x, weight_ih, weight_hh, bias, h, c)
    n_steps, batch, _ = x.shape
    hidden = weight_hh.shape[1]
    y = empty((n_steps, batch, hidden), x.dtype)
    cells, gates = empty(y.shape, y.dtype), empty((n_steps, batch, 4 * hidden), y.dtype)
    np.matmul(flat(x), weight_ih.T, out=flat(gates))
    b = np.zeros(4 * hidden, y.dtype) if bias is None else contiguous(bias)
    product, turned = empty((batch, 4 * hidden), y.dtype), np.ascontiguousarray(weight_hh.T)
    h_before, c_before = h, contiguous(c)
    for t in steps(n_steps, back):
        np.matmul(h_before, turned, out=product)
        _lstm_step(product, b, c_before, gates[t], cells[t], y[t], batch, hidden)
        h_before, c_before = y[t], cells[t]
    return (y, c_before.copy()), (x, h, c, weight_ih, weight_hh, bias, y, cells, gates, back, needs)


@lstm_sequence.vjp
def lstm_sequence(residuals, g):
    x, h, c, weight_ih, weight_hh, _, y, cells, gates, back, needs = residuals
    g_y, g_c = g
    n_steps, batch, hidden = y.shape
    gates_bar, b_bar = empty(gates.shape, y.dtype), np.zeros(4 * hidden, y.dtype)
    h_bar, c_bar = np.zeros((batch, hidden), y.dtype), np.zeros((batch, hidden), y.dtype)
    if g_c is not None:
        np.copyto(c_bar, g_c)
    g_y = None if g_y is None else contiguous(g_y)
    order = steps(n_steps, back)
    for k in range(n_steps - 1, -1, -1):
        t = order[k]
        c_before = cells[order[k - 1]] if k else contiguous(c)
        if g_y is not None:
            h_bar += g_y[t]
        _lstm_step_vjp(
            h_bar, c_bar, gates[t], cells[t], c_before, gates_bar[t], b_bar, batch, hidden
        )
        np.matmul(gates_bar[t], weight_hh, out=h_bar)
    rows = flat(gates_bar)
    x_bar = w_bar = None
    if needs[0]:
        x_bar = empty(x.shape, y.dtype)
        np.matmul(rows, weight_ih, out=flat(x_bar))
    if needs[3]:
        w_bar = np.matmul(rows.T, flat(x), out=empty(weight_ih.shape, y.dtype))
    return (
        x_bar,
        h_bar,
        c_bar,
        w_bar,
        weight_bar(gates_bar, h, y, back) if needs[4] else None,
        b_bar if needs[5] else None,
    )


@lstm_sequence.double("0 1 2 3 4 5")
def lstm_sequence(residuals, g):
    return derived(functools.partial(composed_lstm, back=residuals[9]), residuals[:6], g)


def composed_lstm(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias: Any = None, back: bool = False
) -> tuple:
    """The same of small operations."""
    gates = x @ weight_ih.T if bias is None else x @ weight_ih.T + bias
    rows, outputs = unbind(gates, 0), {}
    for t in steps(len(rows), back):
        i, f, g, o = chunk(rows[t] + h @ weight_hh.T, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = outputs[t] = sigmoid(o) * tanh(c)
    return stack([outputs[t] for t in range(len(rows))], 0), c


# ---------------------------------------------------------------- what recurrent sequences share


def check(name: str, n_gates: int, x: Any, w: Any, u: Any, bias: Any, *states: Any) -> None:
    """Raise unless shapes and dtypes of inputs, both weights, bias and states fit."""
    hidden = u.shape[1] if u.ndim == 2 else 0
    rows = n_gates * hidden
    if (
        x.ndim != 3
        or not len(x)
        or u.shape != (rows, hidden)
        or w.shape != (rows, x.shape[2])
        or (bias is not None and bias.shape != (rows,))
        or any(s.shape != (x.shape[1], hidden) for s in states)
    ):
        raise ShapeError(
            f"{name}: expected inputs of shape (time, batch, features), at least one step, states (batch, hidden), weights "
            f"({n_gates} hidden, features) and ({n_gates} hidden, hidden), and a bias with a number per row; got {x.shape}, "
            f"{[s.shape for s in states]}, {w.shape}, {u.shape} and {None if bias is None else bias.shape}"
        )
    if any(a.dtype != x.dtype for a in (w, u, bias, *states) if a is not None):
        found = [str(a.dtype) for a in (x, w, u, bias, *states) if a is not None]
        raise DtypeError(
            f"{name}: inputs, weights, bias and states must have the same dtype, got {', '.join(found)}; convert with .to(...)"
        )


def flat(x: np.ndarray) -> np.ndarray:
    """Steps and batch as one dimension."""
    return x.reshape(-1, x.shape[2])


def steps(n: int, back: bool) -> range:
    """The steps, in the order of time."""
    return range(n - 1, -1, -1) if back else range(n)


def weight_bar(gates_bar: np.ndarray, h: np.ndarray, y: np.ndarray, back: bool) -> np.ndarray:
    """The cotangent of W_hh: of each step, that of its gates times the output before it."""
    later, earlier, first = (
        (gates_bar[:-1], y[1:], gates_bar[-1]) if back else (gates_bar[1:], y[:-1], gates_bar[0])
    )
    total = np.matmul(first.T, h, out=empty((first.shape[1], h.shape[1]), h.dtype))
    total += np.matmul(flat(later).T, flat(earlier))
    return total


def derived(composed: Any, inputs: Any, g: list) -> list:
    """Cotangents of the inputs, differentiable, by way of an equal function of other operations."""
    # Products with 1 are results of their own: a path from one input to another is not followed.
    own = [None if x is None else x * 1.0 for x in inputs]
    given = [(y, g_y) for y, g_y in zip(composed(*own), g) if g_y is not None]
    wanted = [x for x in own if x is not None and x.requires_grad]
    roots, seeds = [y for y, _ in given], [g_y for _, g_y in given]
    found = iter(grad(roots, wanted, seeds, create_graph=True, allow_unused=True))
    return [next(found) if x is not None and x.requires_grad else None for x in own]


# Loops over few arrays each, from 0 on in slices: LLVM turns those into vector code.


@kernel("AAA>A>A>Ann")
def _lstm_step(product, bias, c_before, gates, c, h, batch, hidden):
    for r in range(batch):
        row, p = (
            gates[4 * hidden * r : 4 * hidden * (r + 1)],
            product[4 * hidden * r : 4 * hidden * (r + 1)],
        )
        for j in range(row.size):
            row[j] = row[j] + p[j] + bias[j]
        i, f = row[:hidden], row[hidden : 2 * hidden]
        g, o = row[2 * hidden : 3 * hidden], row[3 * hidden : 4 * hidden]
        both = row[: 2 * hidden]
        for j in range(both.size):
            both[j] = sigmoid_of(both[j], product)
        for j in range(g.size):
            g[j] = tanh_of(g[j], product)
        for j in range(o.size):
            o[j] = sigmoid_of(o[j], product)
        before, after = c_before[hidden * r : hidden * (r + 1)], c[hidden * r : hidden * (r + 1)]
        out = h[hidden * r : hidden * (r + 1)]
        for j in range(after.size):
            after[j] = f[j] * before[j] + i[j] * g[j]
        for j in range(out.size):
            out[j] = o[j] * tanh_of(after[j], product)


@kernel("A>AAAA>A>Ann")
def _lstm_step_vjp(h_bar, c_bar, gates, c, c_before, gates_bar, b_bar, batch, hidden):
    one = h_bar.dtype.type(1)
    for r in range(batch):
        row, out = (
            gates[4 * hidden * r : 4 * hidden * (r + 1)],
            gates_bar[4 * hidden * r : 4 * hidden * (r + 1)],
        )
        i, f = row[:hidden], row[hidden : 2 * hidden]
        g, o = row[2 * hidden : 3 * hidden], row[3 * hidden : 4 * hidden]
        i_bar, f_bar = out[:hidden], out[hidden : 2 * hidden]
        g_bar, o_bar = out[2 * hidden : 3 * hidden], out[3 * hidden : 4 * hidden]
        d, e = h_bar[hidden * r : hidden * (r + 1)], c_bar[hidden * r : hidden * (r + 1)]
        before, after = c_before[hidden * r : hidden * (r + 1)], c[hidden * r : hidden * (r + 1)]
        for j in range(e.size):
            th = tanh_of(after[j], h_bar)
            e[j] += d[j] * o[j] * (one - th * th)
            o_bar[j] = d[j] * th * o[j] * (one - o[j])
        for j in range(e.size):
            i_bar[j] = e[j] * g[j] * i[j] * (one - i[j])
        for j in range(e.size):
            g_bar[j] = e[j] * i[j] * (one - g[j] * g[j])
        for j in range(e.size):
            f_bar[j] = e[j] * before[j] * f[j] * (one - f[j])
        for j in range(e.size):
            e[j] *= f[j]
        for j in range(b_bar.size):
            b_bar[j] += out[j]
