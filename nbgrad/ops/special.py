"""The error function and the logarithm of the gamma function."""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty_like
from nbgrad.autograd.op import op
from nbgrad.jit import fmath, kernel, maker
from nbgrad.ops.elementwise import of, smooth
from nbgrad.ops.pointwise import floats

erf_of = fmath.erf
SLOPE = 2 / math.sqrt(math.pi)
N_SHIFT = 8  # psi(x) = psi(x + 1) - 1 / x until x is so large that the series is exact


@smooth("x", lambda x: of(x * -x, "exp") * SLOPE)
def erf(x):
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.erf(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return _erf(x)


@smooth("x", lambda x: of(x * -x, "exp") * -SLOPE)
def erfc(x):
    """1 - erf(x), exact where that is small.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.erfc(nb.tensor([0.0, 3.0]))
    tensor([1.0000e+00, 2.2090e-05])
    """
    y = empty_like(x)
    _erfc(x, y)
    return y


@op
def lgamma(x):
    """Logarithm of the absolute value of the gamma function.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.lgamma(nb.tensor([1.0, 5.0]))
    tensor([0.0000, 3.1781])
    """
    x = floats(x)
    y = empty_like(x)
    _lgamma(x, y)
    return y, (x,)


@lgamma.vjp
def lgamma(residuals, g):
    (x,) = residuals
    return (np.multiply(g, psi(0, x), out=empty_like(x)),)


@lgamma.double("0")
def lgamma(residuals, g):
    (x,) = residuals
    return (g * polygamma(0, x),)


@op
def polygamma_of(x, n):
    """The derivative number n of digamma."""
    x = floats(x)
    return psi(n, x), (n, x)


@polygamma_of.vjp
def polygamma_of(residuals, g):
    n, x = residuals
    return (np.multiply(g, psi(n + 1, x), out=empty_like(x)),)


@polygamma_of.double(". 0")
def polygamma_of(residuals, g):
    n, x = residuals
    return (g * polygamma_of(x, n + 1),)


def polygamma(n: int, x: Any) -> Any:
    """The derivative number n of digamma, for x > 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.polygamma(1, nb.tensor([1.0]))
    tensor([1.6449])
    """
    return polygamma_of(x, n)


def digamma(x: Any) -> Any:
    """The derivative of lgamma, for x > 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.digamma(nb.tensor([1.0]))
    tensor([-0.5772])
    """
    return polygamma_of(x, 0)


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def psi(n: int, x: np.ndarray) -> np.ndarray:
    """Polygamma by recurrence to large arguments and the asymptotic series there; NaN for x <= 0.

    References
    ----------
    Abramowitz and Stegun 1964, Handbook of mathematical functions, 6.4.6 and 6.4.11.
    """
    z = x.astype(np.float64)
    sign = -1.0 if n % 2 == 0 else 1.0
    factorial = math.factorial(n)
    total = np.zeros_like(z)
    with np.errstate(all="ignore"):
        for _ in range(N_SHIFT + n):
            total += sign * factorial / z ** (n + 1)
            z = z + 1
        if n == 0:
            total += np.log(z) - 0.5 / z
        else:
            total += sign * (math.factorial(n - 1) / z**n + factorial / (2 * z ** (n + 1)))
        for k, bernoulli in enumerate(BERNOULLI, 1):
            rise = math.factorial(2 * k + n - 1) / math.factorial(2 * k)
            total += sign * bernoulli * rise / z ** (2 * k + n)
        return np.where(x > 0, total, np.nan).astype(x.dtype)


@maker("a>a")
def _erf(x, y):
    for i in range(x.size):
        y[i] = erf_of(x[i], x)


@kernel("a>a", fast=False)
def _erfc(x, y):
    for i in range(x.size):
        y[i] = math.erfc(x[i])


@kernel("a>a", fast=False)
def _lgamma(x, y):
    for i in range(x.size):
        y[i] = math.lgamma(x[i])
