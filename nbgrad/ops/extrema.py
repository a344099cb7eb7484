"""The larger and the smaller of two operands."""

from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.broadcast import by_numpy, form_of, unbroadcast, unbroadcast_tensor


@op(inputs=2, numbers=True)
def maximum(x, y, needs):
    """The larger of x and y, element by element; equal ones share the gradient.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.maximum(nb.tensor([1.0, 5.0]), nb.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return by_numpy(np.maximum, x, y), (x, y, form_of(x, needs[0]), form_of(y, needs[1]))


@maximum.vjp
def maximum(residuals, g):
    return choose_vjp(np.greater, residuals, g)


@maximum.double()
def maximum(residuals, g):
    return choose_double(np.greater, residuals, g)


@op(inputs=2, numbers=True)
def minimum(x, y, needs):
    """The smaller of x and y, element by element; equal ones share the gradient.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.minimum(nb.tensor([1.0, 5.0]), nb.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return by_numpy(np.minimum, x, y), (x, y, form_of(x, needs[0]), form_of(y, needs[1]))


@minimum.vjp
def minimum(residuals, g):
    return choose_vjp(np.less, residuals, g)


@minimum.double()
def minimum(residuals, g):
    return choose_double(np.less, residuals, g)


def choose_vjp(wins: Any, residuals: Any, g: np.ndarray) -> tuple:
    """The cotangent goes to the operand that was chosen, half each where they are equal."""
    x, y, x_form, y_form = residuals
    half = np.where(x == y, g.dtype.type(0.5), g.dtype.type(0)) * g
    zero = np.zeros((), g.dtype)
    x_bar = y_bar = None
    if x_form is not None:
        x_bar = unbroadcast(np.asarray(np.where(wins(x, y), g, zero) + half), x_form)
    if y_form is not None:
        y_bar = unbroadcast(np.asarray(np.where(wins(y, x), g, zero) + half), y_form)
    return x_bar, y_bar


def choose_double(wins: Any, residuals: Any, g: Any) -> tuple:
    """`choose_vjp` over tensors: which operand was chosen is a constant."""
    x, y, x_form, y_form = residuals
    kind = g.array.dtype
    half = 0.5 * np.equal(x, y)
    x_bar = g * Tensor(np.asarray(wins(x, y) + half, kind))
    y_bar = g * Tensor(np.asarray(wins(y, x) + half, kind))
    return unbroadcast_tensor(x_bar, x_form), unbroadcast_tensor(y_bar, y_form)
