"""check_vjp: compare a VJP with finite differences, along one random direction; check_double: the second form, too.

For y = f(x), a random direction v and a random cotangent g, both seeded,

    <g, (f(x + h v) - f(x - h v)) / 2h>   must equal   <vjp(g), v>

One direction costs two forwards whatever the size of x, and a wrong VJP agrees by chance with
probability 0.  float64 only: in float32 the difference quotient itself is off in the third digit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.derive import backward, grad
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError

STEP = 1e-6
RTOL = 1e-5
ATOL = 1e-7


def check_vjp(
    function: Callable,
    *inputs: Any,
    seed: int = 0,
    step: float = STEP,
    rtol: float = RTOL,
    atol: float = ATOL,
    **kwargs: Any,
) -> bool:
    """Check the VJP of a function of tensors against finite differences.

    Every input is also checked alone, as the only one that requires grad: its gradient must be the same, since
    ops save and compute only what is needed.

    Parameters
    ----------
    function : callable
        Takes as many tensors as there are inputs, and `kwargs`; returns a tensor or a tuple of them.
    *inputs : ndarray, float64
        Where to check.  Keep away from kinks.  They may be views with any strides.
    seed : int
        Chooses direction and cotangent.
    step : float
        Half the distance of the two points of the difference quotient.
    rtol, atol : float
        Largest difference, relative to the sizes of the factors, and absolute.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AssertionError
        If the two numbers differ, or a gradient has the wrong shape or dtype.
    DtypeError
        If an input is not float64.

    Examples
    --------
    >>> import numpy as np, nbgrad as nb
    >>> nb.autograd.check_vjp(nb.tanh, np.linspace(-1, 1, 5))
    True
    """
    arrays = [x.array if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
    for x in arrays:
        if x.dtype != np.float64:
            raise DtypeError(
                f"check_vjp needs float64 and got {x.dtype}: finite differences in float32 are too rough to judge"
            )
    rng = np.random.default_rng(seed)
    directions = [np.asarray(rng.standard_normal(x.shape)) for x in arrays]

    def values(sign: float) -> list[np.ndarray]:
        moved = [np.asarray(x + sign * step * v) for x, v in zip(arrays, directions)]
        return [y.array for y in results(function, [Tensor(x) for x in moved], kwargs)]

    plus, minus = values(1.0), values(-1.0)
    cotangents = [np.asarray(rng.standard_normal(y.shape)) for y in plus]
    quotient = [(p - m) / (2 * step) for p, m in zip(plus, minus)]
    expected = float(sum(np.vdot(g, d) for g, d in zip(cotangents, quotient)))

    grads = gradients(function, arrays, [True] * len(arrays), cotangents, kwargs)
    for number, (x, g) in enumerate(zip(arrays, grads)):
        assert g.shape == x.shape, (
            f"the gradient of input {number} has shape {g.shape}, the input has {x.shape}"
        )
        assert g.dtype == x.dtype, (
            f"the gradient of input {number} has dtype {g.dtype}, the input has {x.dtype}"
        )
    found = float(sum(np.vdot(g, v) for g, v in zip(grads, directions)))
    # Rounding in the quotient grows with the results, so they set the scale besides the derivative.
    scale = sum(float(np.abs(g).ravel() @ np.abs(d).ravel()) for g, d in zip(cotangents, quotient))
    size = max((float(np.abs(p).max(initial=0.0)) for p in plus), default=0.0)
    allowed = atol + rtol * max(scale, abs(found)) + 1e-15 / step * size * max(1, len(cotangents))
    assert abs(found - expected) <= allowed, (
        f"the VJP of {getattr(function, '__name__', function)} gives {found!r} along the direction of seed {seed}, "
        f"finite differences give {expected!r}; they may differ by {allowed:.3g}"
    )
    if len(arrays) > 1:
        for number, (x, g) in enumerate(zip(arrays, grads)):
            alone = [number == other for other in range(len(arrays))]
            again = gradients(function, arrays, alone, cotangents, kwargs)[number]
            assert np.allclose(again, g, rtol=1e-12, atol=1e-12), (
                f"the gradient of input {number} (shape {x.shape}) changes when the other inputs need none"
            )
    return True


def check_double(function: Callable, *inputs: Any, seed: int = 0, **kwargs: Any) -> bool:
    """Check the second, differentiable form of VJPs: its values against the first form, its VJP as `check_vjp` does.

    Parameters
    ----------
    function, inputs, seed, kwargs
        As for `check_vjp`, which also takes its options here.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AssertionError
        If the two forms give different gradients, or the gradient of a gradient is wrong.

    Examples
    --------
    >>> import numpy as np, nbgrad as nb
    >>> nb.autograd.check_double(nb.tanh, np.linspace(-1, 1, 5))
    True
    """
    options = {name: kwargs.pop(name) for name in ("step", "rtol", "atol") if name in kwargs}
    arrays = [x.array if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
    rng = np.random.default_rng(seed)
    outs = results(function, [Tensor(x) for x in arrays], kwargs)
    cotangents = [np.asarray(rng.standard_normal(out.array.shape)) for out in outs]
    n = len(arrays)

    def slopes(*tensors: Tensor) -> list[Tensor]:
        leaves = [x if x.requires_grad else Tensor(x.array, True) for x in tensors[:n]]
        outs = results(function, leaves, kwargs)
        pairs = [(out, g) for out, g in zip(outs, tensors[n:]) if out.requires_grad]
        return list(
            grad([out for out, _ in pairs], leaves, [g for _, g in pairs],
                 create_graph=True, materialize_grads=True)
        )  # fmt: skip

    first = gradients(function, arrays, [True] * n, cotangents, kwargs)
    second = slopes(*[Tensor(x) for x in (*arrays, *cotangents)])
    for number, (a, b) in enumerate(zip(first, second)):
        assert b.array.shape == a.shape, (
            f"the second form gives input {number} a gradient of shape {b.array.shape}, not {a.shape}"
        )
        assert b.array.dtype == a.dtype, (
            f"the second form gives input {number} a gradient of {b.array.dtype}, not {a.dtype}"
        )
        assert np.allclose(a, b.array, rtol=1e-9, atol=1e-11), (
            f"the two forms of the VJP give different gradients of input {number} (shape {a.shape}):\n{a}\nand\n{b.array}"
        )
    return check_vjp(slopes, *arrays, *cotangents, seed=seed, **options)


def results(function: Callable, tensors: list[Tensor], kwargs: dict) -> list[Tensor]:
    out = function(*tensors, **kwargs)
    return [out] if isinstance(out, Tensor) else list(out)


def gradients(
    function: Callable,
    arrays: list[np.ndarray],
    needs: list[bool],
    cotangents: list[np.ndarray],
    kwargs: dict,
) -> list[np.ndarray]:
    """The gradient of each input for given cotangents of the results; zeros where none arrived."""
    leaves = [Tensor(x, need) for x, need in zip(arrays, needs)]
    outs = results(function, leaves, kwargs)
    pairs = [(out, g) for out, g in zip(outs, cotangents) if out.requires_grad]
    if pairs:
        backward([out for out, _ in pairs], [Tensor(g) for _, g in pairs])
    return [
        np.zeros_like(x) if leaf.grad is None else leaf.grad.array
        for leaf, x in zip(leaves, arrays)
    ]
