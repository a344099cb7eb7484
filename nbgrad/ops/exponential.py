"""Exponentials and logarithms beyond exp, log and log1p."""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.ops.broadcast import by_numpy, form_of, unbroadcast, unbroadcast_tensor
from nbgrad.ops.elementwise import of, smooth
from nbgrad.ops.power import pow

LN2, LN10 = math.log(2.0), math.log(10.0)


@smooth("y", lambda y: y * LN2)
def exp2(x):
    """2 to the power x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.exp2(nb.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """
    return np.exp2(x)


@smooth("y", lambda y: y + 1)
def expm1(x):
    """e^x - 1, exact for small x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.expm1(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    return np.expm1(x)


@smooth("x", lambda x: 1 / (x * LN2))
def log2(x):
    """Logarithm to the base 2.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.log2(nb.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """
    return np.log2(x)


@smooth("x", lambda x: 1 / (x * LN10))
def log10(x):
    """Logarithm to the base 10.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.log10(nb.tensor([1.0, 50.0]))
    tensor([0.0000, 1.6990])
    """
    return np.log10(x)


@smooth("x", lambda x: 1 / (x * (1 - x)))
def plain_logit(x):
    """log(x / (1 - x))."""
    return np.log(x / (1 - x))


def logit(x: Any, eps: float | None = None) -> Any:
    """log(x / (1 - x)), the inverse of sigmoid; x is first cut to [eps, 1 - eps], if given.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.logit(nb.tensor([0.5, 0.75]))
    tensor([0.0000, 1.0986])
    """
    return plain_logit(x if eps is None else x.clamp(eps, 1 - eps))


def square(x: Any) -> Any:
    """x times x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.square(nb.tensor([3.0]))
    tensor([9.])
    """
    return pow(x, 2)


@op(inputs=2)
def logaddexp(x, y, needs):
    """log(e^x + e^y), without overflow.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.logaddexp(nb.tensor([100.0]), nb.tensor([100.0]))
    tensor([100.6931])
    """
    z = by_numpy(np.logaddexp, x, y)
    return z, (x, y, form_of(x, needs[0]), form_of(y, needs[1]))


@logaddexp.vjp
def logaddexp(residuals, g):
    # x_bar = g e^(x - z), y_bar = g e^(y - z)
    x, y, x_form, y_form = residuals
    z = np.logaddexp(x, y)
    with np.errstate(invalid="ignore"):
        return unbroadcast(g * np.exp(x - z), x_form), unbroadcast(g * np.exp(y - z), y_form)


@logaddexp.double("0 1")
def logaddexp(residuals, g):
    x, y, x_form, y_form = residuals
    share = (x - y).sigmoid()
    return unbroadcast_tensor(g * share, x_form), unbroadcast_tensor(g * (1 - share), y_form)


@smooth("x", lambda x: slope_of_sinc(x))
def sinc(x):
    """sin(pi x) / (pi x), and 1 at 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sinc(nb.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    return np.sinc(x)


def slope_of_sinc(x: Any) -> Any:
    """(cos(pi x) - sinc(x)) / x, and 0 at 0."""
    is_zero = x == 0
    tiny = 1e-4
    safe = (
        np.where(is_zero, x.dtype.type(tiny), x)
        if type(x) is np.ndarray
        else x.masked_fill(is_zero, tiny)
    )
    angle = safe * math.pi
    slope = (of(angle, "cos") - of(angle, "sin") / angle) / safe
    return slope * (1 - is_zero) if type(x) is np.ndarray else slope.masked_fill(is_zero, 0)


def xlogy(x: Any, y: Any) -> Any:
    """x log(y), and 0 where x is 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.xlogy(nb.tensor([0.0, 2.0]), nb.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    is_zero = x == 0
    safe = y.masked_fill(is_zero, 1.0)
    return x * safe.log()
