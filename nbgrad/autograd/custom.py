"""custom_vjp: an operation of two functions of your own over arrays, compiled by Numba or not.

@numba.njit                                @numba.njit
def cube(x):                               def cube_vjp(g, y, x):
    return x * x * x                           return g * 3 * x * x

cube = nb.custom_vjp(cube, cube_vjp)
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.op import op, registry
from nbgrad.errors import ShapeError


def custom_vjp(
    forward: Callable,
    vjp: Callable | None = None,
    *,
    inputs: int | None = None,
    many: bool = False,
) -> Any:
    """Make a differentiable operation of a forward and its VJP, both over arrays.

    Parameters
    ----------
    forward : callable
        Gets contiguous arrays; returns an array or a number.
    vjp : callable, optional
        Gets (g, y, *arguments of the forward), g the cotangent of the result y; returns the cotangent of each
        differentiable argument, one or a tuple.  Without it a decorator is returned, which takes it.
    inputs : int, optional
        How many leading arguments are differentiable; all without it.  The others arrive as they are given, tensors as
        arrays.
    many : bool
        Whether the forward returns a tuple of arrays; then g and y are tuples, too.

    Returns
    -------
    function
        As `nbgrad.autograd.op` makes it: takes tensors, arrays and numbers; `.double(words)` registers a VJP over tensors,
        for gradients of gradients, whose residuals are the result (or the results), then the arguments.

    Raises
    ------
    ShapeError
        In the backward pass, if the VJP returns too few or too many cotangents, or one of a wrong shape.

    Examples
    --------
    >>> import numba, nbgrad as nb
    >>> @numba.njit
    ... def cube(x):
    ...     return x * x * x
    >>> @numba.njit
    ... def cube_vjp(g, y, x):
    ...     return g * 3 * x * x
    >>> cube = nb.custom_vjp(cube, cube_vjp)
    >>> x = nb.tensor([2.0], requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor([12.])
    """
    if vjp is None:
        return functools.partial(custom_vjp, forward, inputs=inputs, many=many)
    plain = getattr(forward, "py_func", forward)  # the Python function under Numba's dispatcher
    signature = inspect.signature(plain)
    n_inputs = len(signature.parameters) if inputs is None else inputs

    @functools.wraps(plain)
    def run(*args: Any) -> tuple:
        given = [*[ordered(x) for x in args[:n_inputs]], *args[n_inputs:]]
        y = forward(*given)
        ys = tuple([np.asarray(part) for part in (y if many else (y,))])
        return (ys if many else ys[0]), (*ys, *given)

    name = plain.__name__ if plain.__name__.isidentifier() else "custom"  # lambdas
    run.__name__, run.__signature__ = name, signature  # type: ignore[attr-defined]
    own = registry.get(name)
    made = op(run, inputs=n_inputs, many=many)
    if (
        own is not None
    ):  # the package's operation of this name stays the one that tables and sparse forms know
        registry[name] = own

    def pull(residuals: Any, g: Any) -> tuple:
        n_results = len(residuals) - len(signature.parameters)
        ys, given = residuals[:n_results], residuals[n_results:]
        parts = g if many else [g]
        gs = tuple([np.zeros_like(y) if p is None else ordered(p) for p, y in zip(parts, ys)])
        bars = vjp(gs, ys, *given) if many else vjp(gs[0], ys[0], *given)
        return checked(name, bars if isinstance(bars, tuple) else (bars,), given[:n_inputs])  # fmt: skip

    return made.vjp(pull)


def ordered(x: Any) -> np.ndarray:
    """A contiguous array, so that Numba compiles one version; one of no dimensions stays so."""
    return x if x.flags.c_contiguous else np.array(x, order="C")


def checked(name: str, bars: tuple, given: Any) -> tuple:
    """The cotangents that a VJP returned, in the dtypes of their inputs."""
    if len(bars) != len(given):
        raise ShapeError(
            f"the VJP of {name} returned {len(bars)} cotangents for {len(given)} differentiable arguments; "
            f"custom_vjp(..., inputs=N) says that only the first N have one"
        )
    for number, (bar, x) in enumerate(zip(bars, given)):
        if np.shape(bar) != x.shape:
            raise ShapeError(
                f"the VJP of {name} returned a cotangent of shape {np.shape(bar)} for argument {number} of shape {x.shape}"
            )
    return tuple([np.asarray(bar, x.dtype) for bar, x in zip(bars, given)])
