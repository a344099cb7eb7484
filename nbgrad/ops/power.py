"""Powers."""

import math

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.jit import maker
from nbgrad.ops.broadcast import by_numpy, contiguous, form_of, unbroadcast, unbroadcast_tensor


@op(inputs=2, numbers=True)
def pow(x, y, needs):
    """x to the power y, element by element.

    Parameters
    ----------
    x, y : Tensor or number
        Broadcast against each other.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.pow(nb.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if type(y) in (int, float) and y == 2 and isinstance(x, np.ndarray):
        z = by_numpy(np.multiply, x, x)
    else:
        z = by_numpy(np.power, x, y)
    return z, (x, y, z if needs[1] else None, form_of(x, needs[0]), form_of(y, needs[1]))


@pow.vjp
def pow(residuals, g):
    # x_bar = g * y * x^(y - 1), y_bar = g * z * log(x), which is 0 where x is 0
    x, y, z, x_form, y_form = residuals
    x_bar = y_bar = None
    if x_form is not None:
        if type(y) in (int, float) and y == 2:
            x_bar = _square_vjp(contiguous(g), contiguous(x))
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = by_numpy(np.multiply, by_numpy(np.power, x, y - 1), y)
            if np.any(y == 0):  # 0 * 0^-1 is nan, and the derivative of a constant is 0
                slope = np.where(y == 0, np.zeros((), slope.dtype), slope)
            x_bar = by_numpy(np.multiply, slope, g)
        x_bar = unbroadcast(x_bar, x_form)
    if y_form is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(x) if isinstance(x, np.ndarray) else np.asarray(np.log(x), g.dtype)
        flow = by_numpy(np.multiply, by_numpy(np.multiply, g, z), np.where(x == 0, 0, logs))
        y_bar = unbroadcast(flow, y_form)
    return x_bar, y_bar


@pow.double("0 1 y")
def pow(residuals, g):
    x, y, z, x_form, y_form = residuals
    x_bar = y_bar = None
    if x_form is not None:
        if isinstance(y, int | float):
            slope = x ** (y - 1) * y if y else x * 0
        else:
            slope = x ** (y - 1) * y
            slope = slope.masked_fill(y == 0, 0.0)
        x_bar = unbroadcast_tensor(slope * g, x_form)
    if y_form is not None:
        if isinstance(x, int | float):
            logs = math.log(x) if x else 0.0
        else:
            logs = x.masked_fill(x == 0, 1.0).log()
        y_bar = unbroadcast_tensor(g * z * logs, y_form)
    return x_bar, y_bar


@maker("aa>a")
def _square_vjp(g, x, x_bar):
    for i in range(g.size):
        x_bar[i] = g[i] * (x[i] + x[i])
