"""The four operations, powers, maximum and minimum, with broadcasting.

Each has two roads: operands of one shape and dtype go through one native call forward and one
backward; all others (broadcasting, numbers, integers, views with gaps) through NumPy.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.dtypes import float32, float64
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import broadcast_shapes, contiguous, form_of, unbroadcast


def by_numpy(ufunc: Any, x: Any, y: Any) -> np.ndarray:
    """NumPy's result as an ndarray; Python numbers do not change the other's dtype."""
    x_kind, y_kind = getattr(x, "dtype", None), getattr(y, "dtype", None)
    dtype = x_kind or y_kind
    same = x_kind is y_kind or x_kind is None or y_kind is None
    if same and (dtype is float32 or dtype is float64):
        if x_kind is y_kind:
            try:
                shape = np.broadcast(x, y).shape
            except ValueError:
                shape = broadcast_shapes(x, y, ufunc.__name__)  # says what is wrong
        else:
            shape = y.shape if x_kind is None else x.shape
        return ufunc(x, y, out=empty(shape, dtype))
    broadcast_shapes(x, y, ufunc.__name__)
    return np.asarray(ufunc(x, y))


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
    if x.__class__ is y.__class__ and x.shape == y.shape:
        try:
            z = empty(x.shape, x.dtype)
            _add(x, y, z)
            return z, None
        except (DtypeError, ShapeError):
            pass
    elif y.__class__ is float:
        try:
            z = empty(x.shape, x.dtype)
            _add_number(x, y, z)
            return z, (form_of(x, True), None)
        except DtypeError:
            pass
    return by_numpy(np.add, x, y), (form_of(x, needs[0]), form_of(y, needs[1]))


@add.vjp
def add(residuals, g):
    # x_bar = g, y_bar = g
    if residuals is None:
        return g, g
    x, y = residuals
    return unbroadcast(g, x), unbroadcast(g, y)


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
    if x.__class__ is y.__class__ and x.shape == y.shape:
        try:
            z = empty(x.shape, x.dtype)
            _sub(x, y, z)
            return z, (None, needs[1])
        except (DtypeError, ShapeError):
            pass
    return by_numpy(np.subtract, x, y), (form_of(x, needs[0]), form_of(y, needs[1]))


@sub.vjp
def sub(residuals, g):
    # x_bar = g, y_bar = -g
    x, y = residuals
    if y is True or y is False:  # one shape
        return g, np.negative(g, out=empty_like(g)) if y else None
    y_bar = unbroadcast(g, y)
    return unbroadcast(g, x), None if y_bar is None else np.negative(y_bar, out=empty_like(y_bar))


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
    if x.__class__ is y.__class__ and x.shape == y.shape:
        try:
            z = empty(x.shape, x.dtype)
            _mul(x, y, z)
            return z, (x if needs[1] else None, y if needs[0] else None)
        except (DtypeError, ShapeError):
            pass
    elif y.__class__ is float:
        try:
            z = empty(x.shape, x.dtype)
            _mul_number(x, y, z)
            return z, (y,)
        except DtypeError:
            pass
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
    if len(residuals) == 2:
        x, y = residuals
        try:
            if y is None:
                y_bar = empty(g.shape, g.dtype)
                _mul(g, x, y_bar)
                return None, y_bar
            x_bar = empty(g.shape, g.dtype)
            if x is None:
                _mul(g, y, x_bar)
                return x_bar, None
            y_bar = empty(g.shape, g.dtype)
            _mul_vjp(g, x, y, x_bar, y_bar)
            return x_bar, y_bar
        except DtypeError:  # g is a view with gaps
            return mul.pullback(residuals, contiguous(g))
    if len(residuals) == 1:
        x_bar = empty(g.shape, g.dtype)
        _mul_number(contiguous(g), residuals[0], x_bar)
        return x_bar, None
    x, y, x_form, y_form = residuals
    x_bar = None if x_form is None else unbroadcast(by_numpy(np.multiply, g, y), x_form)
    y_bar = None if y_form is None else unbroadcast(by_numpy(np.multiply, g, x), y_form)
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
    residuals = (x if needs[1] else None, y, form_of(x, needs[0]), form_of(y, needs[1]))
    if x.__class__ is y.__class__ and x.shape == y.shape:
        try:
            z = empty(x.shape, x.dtype)
            _div(x, y, z)
            return z, residuals
        except (DtypeError, ShapeError):
            pass
    return by_numpy(np.true_divide, x, y), residuals


@div.vjp
def div(residuals, g):
    # x_bar = g / y, y_bar = -g * x / y^2
    x, y, x_form, y_form = residuals
    if x_form is not None and x_form == y_form and g.shape == x_form[0]:
        x_bar, y_bar = empty(g.shape, g.dtype), empty(g.shape, g.dtype)
        _div_vjp(contiguous(g), contiguous(x), contiguous(y), x_bar, y_bar)
        return x_bar, y_bar
    quotient = by_numpy(np.true_divide, g, y)
    y_bar = None
    if y_form is not None:
        y_bar = by_numpy(np.multiply, quotient, by_numpy(np.true_divide, x, y))
        np.negative(y_bar, out=y_bar)
    return unbroadcast(quotient, x_form), unbroadcast(y_bar, y_form) if y_form else None


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
            x_bar = empty_like(x)
            _square_vjp(contiguous(g), contiguous(x), x_bar)
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


def choose_vjp(wins: Any, residuals: Any, g: np.ndarray) -> tuple:
    """The cotangent goes to the operand that was chosen, half each where they are equal."""
    x, y, x_form, y_form = residuals
    half = np.where(x == y, g.dtype.type(0.5), g.dtype.type(0)) * g
    zero = np.zeros((), g.dtype)
    x_bar = y_bar = None
    if x_form is not None:
        x_bar = unbroadcast(np.where(wins(x, y), g, zero) + half, x_form)
    if y_form is not None:
        y_bar = unbroadcast(np.where(wins(y, x), g, zero) + half, y_form)
    return x_bar, y_bar


@op(inputs=2, numbers=True, constant=True)
def floor_divide(x, y):
    """x / y, rounded down."""
    return by_numpy(np.floor_divide, x, y), None


@op(inputs=2, numbers=True, constant=True)
def remainder(x, y):
    """What is left of x after dividing by y; has the sign of y."""
    return by_numpy(np.remainder, x, y), None


@kernel("aa>a")
def _add(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y[i]


@kernel("aa>a")
def _sub(x, y, z):
    for i in range(x.size):
        z[i] = x[i] - y[i]


@kernel("aa>a")
def _mul(x, y, z):
    for i in range(x.size):
        z[i] = x[i] * y[i]


@kernel("af>a")
def _add_number(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y


@kernel("af>a")
def _mul_number(x, y, z):
    for i in range(x.size):
        z[i] = x[i] * y


@kernel("aa>a", fast=False)
def _div(x, y, z):
    for i in range(x.size):
        z[i] = x[i] / y[i]


@kernel("aaa>a>a")
def _mul_vjp(g, x, y, x_bar, y_bar):
    for i in range(g.size):
        v = g[i]
        x_bar[i] = v * y[i]
        y_bar[i] = v * x[i]


@kernel("aaa>a>a")
def _div_vjp(g, x, y, x_bar, y_bar):
    for i in range(g.size):
        q = g[i] / y[i]
        x_bar[i] = q
        y_bar[i] = -q * (x[i] / y[i])


@kernel("aa>a")
def _square_vjp(g, x, x_bar):
    for i in range(g.size):
        x_bar[i] = g[i] * (x[i] + x[i])
