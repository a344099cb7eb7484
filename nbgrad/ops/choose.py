"""Elements cut to limits, or chosen by a mask."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty_like
from nbgrad.autograd.dtypes import Default, as_array, is_floating
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.broadcast import form_of, unbroadcast, unbroadcast_tensor


@op
def clamp(x, min=None, max=None):
    """x, not below `min` and not above `max`; no gradient where it was cut.

    Parameters
    ----------
    x : Tensor
        Values.
    min, max : number or Tensor, optional
        Limits.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.clamp(nb.tensor([-2.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    y = np.clip(x, min, max, out=empty_like(x)) if x.dtype.kind == "f" else np.clip(x, min, max)
    return np.asarray(y), (x, min, max)


@clamp.vjp
def clamp(residuals, g):
    return (np.multiply(g, clamp_mask(residuals), out=empty_like(g)),)


@clamp.double()
def clamp(residuals, g):
    return (g * Tensor(clamp_mask(residuals)),)


def clamp_mask(residuals: Any) -> np.ndarray:
    """Where nothing was cut."""
    x, low, high = residuals
    inside: Any = np.ones(x.shape, bool)
    if low is not None:
        inside = x >= low
    if high is not None:
        inside = (x <= high) & inside
    return inside


@op(inputs=2, name="where")
def chosen(x, y, condition, needs):
    """x where the condition holds, else y: what `where` calls."""
    z = np.asarray(np.where(condition, x, y))
    return z, (condition, form_of(x, needs[0]), form_of(y, needs[1]))


@chosen.vjp
def chosen(residuals, g):
    condition, x, y = residuals
    zero = np.zeros((), g.dtype)
    x_bar = None if x is None else unbroadcast(np.asarray(np.where(condition, g, zero)), x)
    y_bar = None if y is None else unbroadcast(np.asarray(np.where(condition, zero, g)), y)
    return x_bar, y_bar


@chosen.double()
def chosen(residuals, g):
    condition, x, y = residuals
    held = Tensor(np.asarray(condition, bool))
    x_bar = None if x is None else unbroadcast_tensor(g.masked_fill(~held, 0), x)
    y_bar = None if y is None else unbroadcast_tensor(g.masked_fill(held, 0), y)
    return x_bar, y_bar


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y, element by element.

    Parameters
    ----------
    condition : Tensor of bool
        Broadcast with x and y.
    x, y : Tensor or number
        Values.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.where(nb.tensor([True, False]), nb.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    x, y = like_other(x, y), like_other(y, x)
    return chosen(x, y, condition)


def like_other(x: Any, other: Any) -> Any:
    """A Python number as an array in the other operand's dtype."""
    if isinstance(x, int | float) and hasattr(other, "dtype"):
        kind = other.dtype if is_floating(other.dtype) or isinstance(x, int) else Default.dtype
        return np.asarray(x, kind)
    return as_array(x) if isinstance(x, int | float) else x
