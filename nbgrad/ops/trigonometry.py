"""Trigonometric and hyperbolic functions and their inverses; sin, cos and tanh are in `pointwise`."""

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.ops.broadcast import by_numpy, form_of, unbroadcast, unbroadcast_tensor
from nbgrad.ops.elementwise import of, smooth


@smooth("y", lambda y: 1 + y * y)
def tan(x):
    """Tangent of x in radians.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tan(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
    """
    return np.tan(x)


@smooth("x", lambda x: (1 - x * x) ** -0.5)
def asin(x):
    """The angle, in radians, whose sine is x; NaN outside of [-1, 1].

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.asin(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
    """
    return np.arcsin(x)


@smooth("x", lambda x: -((1 - x * x) ** -0.5))
def acos(x):
    """The angle, in radians, whose cosine is x; NaN outside of [-1, 1].

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.acos(nb.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])
    """
    return np.arccos(x)


@smooth("x", lambda x: 1 / (1 + x * x))
def atan(x):
    """The angle, in radians, whose tangent is x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.atan(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """
    return np.arctan(x)


@smooth("x", lambda x: of(x, "cosh"))
def sinh(x):
    """Hyperbolic sine.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sinh(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """
    return np.sinh(x)


@smooth("x", lambda x: of(x, "sinh"))
def cosh(x):
    """Hyperbolic cosine.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cosh(nb.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
    """
    return np.cosh(x)


@smooth("x", lambda x: (1 + x * x) ** -0.5)
def asinh(x):
    """The number whose hyperbolic sine is x."""
    return np.arcsinh(x)


@smooth("x", lambda x: (x * x - 1) ** -0.5)
def acosh(x):
    """The number, 0 or more, whose hyperbolic cosine is x; NaN below 1."""
    return np.arccosh(x)


@smooth("x", lambda x: 1 / (1 - x * x))
def atanh(x):
    """The number whose hyperbolic tangent is x; NaN outside of [-1, 1]."""
    return np.arctanh(x)


@op(inputs=2)
def atan2(y, x, needs):
    """The angle, in radians, of the point (x, y), from -pi to pi.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.atan2(nb.tensor([1.0]), nb.tensor([-1.0]))
    tensor([2.3562])
    """
    z = by_numpy(np.arctan2, y, x)
    return z, (y, x, form_of(y, needs[0]), form_of(x, needs[1]))


@atan2.vjp
def atan2(residuals, g):
    # y_bar = g x / (x^2 + y^2), x_bar = -g y / (x^2 + y^2)
    y, x, y_form, x_form = residuals
    with np.errstate(all="ignore"):
        share = g / (x * x + y * y)
        return unbroadcast(share * x, y_form), unbroadcast(-(share * y), x_form)


@atan2.double("0 1")
def atan2(residuals, g):
    y, x, y_form, x_form = residuals
    share = g / (x * x + y * y)
    return unbroadcast_tensor(share * x, y_form), unbroadcast_tensor(-(share * y), x_form)


@op(inputs=2)
def hypot(x, y, needs):
    """sqrt(x^2 + y^2), without overflow; the gradient at the origin is 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.hypot(nb.tensor([3.0]), nb.tensor([4.0]))
    tensor([5.])
    """
    z = by_numpy(np.hypot, x, y)
    return z, (x, y, form_of(x, needs[0]), form_of(y, needs[1]))


@hypot.vjp
def hypot(residuals, g):
    # x_bar = g x / z, y_bar = g y / z
    x, y, x_form, y_form = residuals
    z = np.hypot(x, y)
    share = g / np.where(z == 0, z.dtype.type(1), z)
    return unbroadcast(share * x, x_form), unbroadcast(share * y, y_form)


@hypot.double("0 1")
def hypot(residuals, g):
    x, y, x_form, y_form = residuals
    z = hypot(x, y)
    share = g / z.masked_fill(z == 0, 1.0)
    return unbroadcast_tensor(share * x, x_form), unbroadcast_tensor(share * y, y_form)


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
