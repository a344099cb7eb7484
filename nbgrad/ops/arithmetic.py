"""The four operations, with broadcasting.

Each has two roads: operands of one shape and dtype, or a tensor and a number, take one native call
forward and one backward; all others (broadcasting, integers, views with gaps) go through NumPy.
"""

import numpy as np

from nbgrad.autograd.buffers import empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.jit import maker
from nbgrad.ops.broadcast import by_numpy, contiguous, form_of, unbroadcast, unbroadcast_tensor


@op(inputs=2, numbers=True)
def add(x, y, needs):
    """x + y.

    Parameters
    ----------
    x, y : Tensor or number
        Broadcast against each other.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If the shapes can't be broadcast.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.add(nb.tensor([1.0, 2.0]), 1)
    tensor([2., 3.])
    """
    kind = y.__class__
    if kind is float or kind is int:
        z = _add_number(x, y)
        if z is not None:
            return z, (None, None)
    else:
        z = _add(x, y)
        if z is not None:
            return z, None
    return by_numpy(np.add, x, y), (form_of(x, needs[0]), form_of(y, needs[1]))


@add.vjp
def add(residuals, g):
    # x_bar = g, y_bar = g
    if residuals is None:
        return g, g
    x, y = residuals
    if x is None and y is None:  # y was a number
        return g, None
    return unbroadcast(g, x), unbroadcast(g, y)


@add.double()
def add(residuals, g):
    if residuals is None:
        return g, g
    x, y = residuals
    if x is None and y is None:
        return g, None
    return unbroadcast_tensor(g, x), unbroadcast_tensor(g, y)


@op(inputs=2, numbers=True)
def sub(x, y, needs):
    """x - y.

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
    >>> nb.sub(nb.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    kind = y.__class__
    if kind is float or kind is int:
        z = _add_number(x, -y)
        if z is not None:
            return z, (True, False)
    else:
        z = _sub(x, y)
        if z is not None:
            return z, needs
    return by_numpy(np.subtract, x, y), (form_of(x, needs[0]), form_of(y, needs[1]))


@sub.vjp
def sub(residuals, g):
    # x_bar = g, y_bar = -g
    x, y = residuals
    if x is True or y is True:  # one shape
        return g, np.negative(g, out=empty_like(g)) if y else None
    y_bar = unbroadcast(g, y)
    return unbroadcast(g, x), None if y_bar is None else np.negative(y_bar, out=empty_like(y_bar))


@sub.double()
def sub(residuals, g):
    x, y = residuals
    if x is True or y is True:
        return g, -g if y else None
    return unbroadcast_tensor(g, x), unbroadcast_tensor(-g, y)


@op(inputs=2, numbers=True)
def mul(x, y, needs):
    """x * y, element by element.

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
    >>> nb.mul(nb.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    kind = y.__class__
    if kind is float or kind is int:
        z = _mul_number(x, y)
        if z is not None:
            return z, (y,)
    else:
        z = _mul(x, y)
        if z is not None:
            return z, (x if needs[1] else None, y if needs[0] else None)
    residuals = (
        x if needs[1] else None,
        y if needs[0] else None,
        form_of(x, needs[0]),
        form_of(y, needs[1]),
    )
    return by_numpy(np.multiply, x, y), residuals


@mul.vjp
def mul(residuals, g):
    # x_bar = g * y, y_bar = g * x
    if len(residuals) == 4:
        x, y, x_form, y_form = residuals
        x_bar = None if x_form is None else unbroadcast(by_numpy(np.multiply, g, y), x_form)
        y_bar = None if y_form is None else unbroadcast(by_numpy(np.multiply, g, x), y_form)
        return x_bar, y_bar
    if len(residuals) == 1:
        return _mul_number(contiguous(g), residuals[0]), None
    x, y = residuals
    if x is not None and y is not None:
        bars = _mul_vjp(g, x, y)
        return _mul_vjp(contiguous(g), x, y) if bars is None else bars
    if y is None:
        return None, _mul(contiguous(g), x)
    return _mul(contiguous(g), y), None


@mul.double("0 1")
def mul(residuals, g):
    if len(residuals) == 1:
        return g * residuals[0], None
    if len(residuals) == 2:
        x, y = residuals
        return None if y is None else g * y, None if x is None else g * x
    x, y, x_form, y_form = residuals
    x_bar = None if x_form is None else unbroadcast_tensor(g * y, x_form)
    y_bar = None if y_form is None else unbroadcast_tensor(g * x, y_form)
    return x_bar, y_bar


@op(inputs=2, numbers=True)
def div(x, y, needs):
    """x / y, element by element.

    Parameters
    ----------
    x, y : Tensor or number
        Broadcast against each other.  Integers are divided as float64.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.div(nb.tensor([1.0, 2.0]), 4)
    tensor([0.2500, 0.5000])
    """
    kind = y.__class__
    if kind is float or kind is int:
        z = _div_number(x, y)
        if z is not None:
            return z, (y,)
    else:
        z = _div(x, y)
        if z is not None:
            return z, (x if needs[1] else None, y, needs)
    residuals = (x if needs[1] else None, y, form_of(x, needs[0]), form_of(y, needs[1]))
    return by_numpy(np.true_divide, x, y), residuals


@div.vjp
def div(residuals, g):
    # x_bar = g / y, y_bar = -g * x / y^2
    if len(residuals) == 1:
        return _div_number(contiguous(g), residuals[0]), None
    if len(residuals) == 3:
        x, y, needs = residuals
        if needs[1]:
            return _div_vjp(contiguous(g), x, y)
        return _div(contiguous(g), y), None
    x, y, x_form, y_form = residuals
    quotient = by_numpy(np.true_divide, g, y)
    if y_form is None:
        return unbroadcast(quotient, x_form), None
    y_bar = by_numpy(np.multiply, quotient, by_numpy(np.true_divide, x, y))
    np.negative(y_bar, out=y_bar)
    return unbroadcast(quotient, x_form), unbroadcast(y_bar, y_form)


@div.double("0 1")
def div(residuals, g):
    if len(residuals) == 1:
        return g / residuals[0], None
    if len(residuals) == 3:
        x, y, needs = residuals
        x_bar = g / y
        return x_bar, -(x_bar * x / y) if needs[1] else None
    x, y, x_form, y_form = residuals
    x_bar = g / y
    y_bar = None if y_form is None else unbroadcast_tensor(-(x_bar * x / y), y_form)
    return unbroadcast_tensor(x_bar, x_form), y_bar


@op(inputs=2, numbers=True, constant=True)
def floor_divide(x, y):
    """x / y, rounded down."""
    return by_numpy(np.floor_divide, x, y), None


@op(inputs=2, numbers=True, constant=True)
def remainder(x, y):
    """What is left of x after dividing by y; has the sign of y."""
    return by_numpy(np.remainder, x, y), None


@op(inputs=2, numbers=True)
def fmod(x, y, needs):
    """What is left of x after dividing by y, rounded toward 0; has the sign of x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.fmod(nb.tensor([-5.0, 5.0]), 3)
    tensor([-2.,  2.])
    """
    z = by_numpy(np.fmod, x, y)
    with np.errstate(all="ignore"):
        times = np.trunc(np.true_divide(x, y)).astype(z.dtype) if needs[1] else None
    return z, (times, form_of(x, needs[0]), form_of(y, needs[1]))


@fmod.vjp
def fmod(residuals, g):
    # x_bar = g, y_bar = -g trunc(x / y)
    times, x_form, y_form = residuals
    return unbroadcast(g, x_form), None if times is None else unbroadcast(-g * times, y_form)


@fmod.double()
def fmod(residuals, g):
    times, x_form, y_form = residuals
    y_bar = None if times is None else unbroadcast_tensor(-g * Tensor(times), y_form)
    return unbroadcast_tensor(g, x_form), y_bar


@maker("aa>a", quiet=True, form="add")
def _add(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y[i]


@maker("aa>a", quiet=True, form="sub")
def _sub(x, y, z):
    for i in range(x.size):
        z[i] = x[i] - y[i]


@maker("aa>a", quiet=True, form="mul")
def _mul(x, y, z):
    for i in range(x.size):
        z[i] = x[i] * y[i]


@maker("aa>a", quiet=True, fast=False)
def _div(x, y, z):
    for i in range(x.size):
        z[i] = x[i] / y[i]


@maker("af>a", quiet=True, form="add_number")
def _add_number(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y


@maker("af>a", quiet=True, form="mul_number")
def _mul_number(x, y, z):
    for i in range(x.size):
        z[i] = x[i] * y


@maker("af>a", quiet=True, fast=False)
def _div_number(x, y, z):
    for i in range(x.size):
        z[i] = x[i] / y


@maker("aaa>a>a", quiet=True)
def _mul_vjp(g, x, y, x_bar, y_bar):
    for i in range(g.size):
        v = g[i]
        x_bar[i] = v * y[i]
        y_bar[i] = v * x[i]


@maker("aaa>a>a", quiet=True)
def _div_vjp(g, x, y, x_bar, y_bar):
    for i in range(g.size):
        q = g[i] / y[i]
        x_bar[i] = q
        y_bar[i] = -q * (x[i] / y[i])
