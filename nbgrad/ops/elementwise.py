"""Decorators for operations on single elements whose derivative is one expression.

    @smooth("y", lambda y: 1 + y * y)
    def tan(x):
        return np.tan(x)

The expression is written once and computed twice: of arrays in a backward pass, of tensors where the gradient has a gradient.
These are the operations that no training step spends its time in; those have kernels of their own, in files of their own.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty_like
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.pointwise import floats


def smooth(keeps: str, slope: Callable) -> Callable:
    """Make an op y = f(x) of a forward over arrays and its derivative.

    Parameters
    ----------
    keeps : {"x", "y"}
        What the derivative is computed of: the input or the result.
    slope : callable
        dy/dx of an array as of a tensor; `of` calls functions that are not operators.
    """

    def made(function: Callable) -> Any:
        @functools.wraps(function)
        def forward(x: np.ndarray) -> tuple:
            x = floats(x)
            with np.errstate(all="ignore"):
                y = np.asarray(function(x))
            return y, (x if keeps == "x" else y,)

        new: Any = op(forward)

        @new.vjp
        def vjp(residuals: Any, g: Any) -> tuple:
            with np.errstate(all="ignore"):
                return (np.multiply(g, slope(*residuals), out=empty_like(g)),)

        @new.double("0" if keeps == "x" else "y")
        def double(residuals: Any, g: Any) -> tuple:
            return (g * slope(*residuals),)

        return new

    return made


def kinked(slope: Callable) -> Callable:
    """Make an op y = f(x, ...) that consists of straight lines.

    Parameters
    ----------
    slope : callable
        Takes the arguments of the op and gives dy/dx of each element, an array; its own derivative is 0.
    """

    def made(function: Callable) -> Any:
        @functools.wraps(function)
        def forward(x: np.ndarray, *args: Any, **kwargs: Any) -> tuple:
            x = floats(x)
            y = np.asarray(function(x, *args, **kwargs), x.dtype)
            return y, (np.asarray(slope(x, *args, **kwargs), x.dtype),)

        new: Any = op(forward)

        @new.vjp
        def vjp(residuals: Any, g: Any) -> tuple:
            return (np.multiply(g, residuals[0], out=empty_like(g)),)

        @new.double()
        def double(residuals: Any, g: Any) -> tuple:
            return (g * Tensor(residuals[0]),)

        return new

    return made


def of(x: Any, name: str) -> Any:
    """NumPy's function of an array, or the method of a tensor that has the same name."""
    return getattr(x, name)() if isinstance(x, Tensor) else getattr(np, name)(x)
