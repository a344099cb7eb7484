"""pad: elements added around a tensor, or cut off it."""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.index import index_select, indexed


@op
def filled_around(x, widths, value):
    """x with `value` around it; `widths` are (before, after) per dimension, none of them negative."""
    shape = tuple([n + before + after for n, (before, after) in zip(x.shape, widths)])
    y = empty(shape, x.dtype)
    inside = tuple([slice(before, before + n) for n, (before, _) in zip(x.shape, widths)])
    y.fill(value)
    y[inside] = x
    return y, (inside,)


@filled_around.vjp
def filled_around(residuals, g):
    (inside,) = residuals
    return (g[inside],)


@filled_around.double()
def filled_around(residuals, g):
    (inside,) = residuals
    return (indexed(g, inside),)


MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """Elements added at both ends of dimensions, from the last dimension on.

    Parameters
    ----------
    input : Tensor
        Values.
    pad : sequence of int
        (before, after) of the last dimension, then of the one before it, and so on; negative ones cut off.
    mode : {"constant", "reflect", "replicate", "circular"}
        What is added: `value`; the elements mirrored at the end, without the last one; the last one again; those of the
        other end.
    value : float, optional
        0 by default.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If there are too many widths, or too few elements to mirror or to cut off.
    ValueError
        For another mode.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.pad(nb.tensor([1.0, 2.0, 3.0]), (1, 2))
    tensor([0., 1., 2., 3., 0., 0.])
    >>> nb.nn.functional.pad(nb.tensor([1.0, 2.0, 3.0]), (2, -1), "reflect")
    tensor([3., 2., 1., 2.])
    """
    if mode not in MODES:
        raise ValueError(f"pad: mode is one of {', '.join(MODES)}, not {mode!r}")
    given = [int(n) for n in pad]
    if len(given) % 2 or len(given) > 2 * input.ndim:
        raise ShapeError(
            f"pad: Padding length must be divisible by 2 and at most two times the number of dimensions of the input; got "
            f"{len(given)} widths for shape {tuple(input.shape)}"
        )
    pairs = [(0, 0)] * (input.ndim - len(given) // 2) + list(zip(given[-2::-2], given[::-2]))
    for axis, (n, (before, after)) in enumerate(zip(input.shape, pairs)):
        if n + before + after < 0 or n + min(before, 0) + min(after, 0) < 0:
            raise ShapeError(
                f"pad: dimension {axis} has {n} elements, and {(before, after)} leaves fewer than none"
            )
    if mode != "constant":
        for axis, (before, after) in enumerate(pairs):
            if before or after:
                places = outside(mode, input.shape[axis], before, after, axis)
                input = index_select(input, axis, Tensor(places))
        return input
    if any(n < 0 for pair in pairs for n in pair):
        cut = tuple(
            [slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(input.shape, pairs)]
        )  # fmt: skip
        input = indexed(input, cut)
    widths = tuple([(max(before, 0), max(after, 0)) for before, after in pairs])
    return filled_around(input, widths, 0 if value is None else value)


def outside(mode: str, n: int, before: int, after: int, axis: int) -> np.ndarray:
    """Which elements stand in the padded dimension."""
    places = np.arange(-before, n + after)
    most = {"reflect": n - 1, "replicate": 1 << 62 if n else 0, "circular": n}[mode]
    if max(before, after) > most:
        raise ShapeError(
            f"pad: Padding size should be less than the corresponding input dimension, but got: padding "
            f"{(before, after)} at dimension {axis} of {n} elements, mode {mode!r}"
        )
    if mode == "replicate":
        return np.clip(places, 0, n - 1)
    if mode == "circular":
        return places % n
    turned = np.abs(places)
    return np.where(turned >= n, 2 * (n - 1) - turned, turned)
