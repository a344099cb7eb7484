"""gradcheck and gradgradcheck: PyTorch's names for comparing VJPs with finite differences, element by element.

`check_vjp` compares along one random direction, which costs two forwards; these build the whole Jacobian, which costs two
forwards per element and one backward pass per element of the result, and say at which element the two differ.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbgrad.autograd.check import results
from nbgrad.autograd.derive import grad
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import GradcheckError


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Check the gradients of a function against finite differences.

    Parameters
    ----------
    func : callable
        Takes the inputs; returns a tensor or several.
    inputs : Tensor or sequence
        Those that require grad are checked; they should be float64.
    eps : float
        Half the distance of the two points of a difference quotient.
    atol, rtol : float
        Largest difference, absolute and relative to the difference quotient.
    raise_exception : bool
        Raise if a gradient is wrong; else return False.
    nondet_tol : float
        How much two backward passes may differ.

    Returns
    -------
    bool

    Raises
    ------
    GradcheckError
        If a gradient is wrong, no input requires grad, or an input is not float64 and the differences are that rough.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([0.5, 1.0], dtype=nb.float64, requires_grad=True)
    >>> nb.autograd.gradcheck(lambda x: x.exp() * x, (x,))
    True
    """
    try:
        compare(func, listed(inputs), eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def listed(inputs: Any) -> list:
    return [inputs] if isinstance(inputs, Tensor) else list(inputs)


def compare(
    func: Callable, given: list, eps: float, atol: float, rtol: float, nondet_tol: float
) -> None:
    """Both Jacobians of each pair of result and input, compared."""
    chosen = [n for n, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not chosen:
        raise GradcheckError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True"
        )
    for number in chosen:
        if given[number].array.dtype != np.float64:
            raise GradcheckError(
                f"gradcheck: input {number} is {given[number].array.dtype}; finite differences need float64, use .double()"
            )
    leaves = [x.detach().requires_grad_() if n in chosen else x for n, x in enumerate(given)]
    outs = results(func, leaves, {})
    wanted = [leaves[n] for n in chosen]
    for o, out in enumerate(outs):
        if out.array.dtype.kind != "f":
            continue
        rows = jacobian_rows(out, wanted)
        again = jacobian_rows(out, wanted)
        for number, found, repeated in zip(chosen, rows, again):
            away = float(np.abs(found - repeated).max(initial=0.0))
            if away > nondet_tol:
                raise GradcheckError(
                    f"Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values: up to {away:.3g} for input {number}"
                )
            expected = differences(func, leaves, number, o, eps)
            bad = ~np.isclose(found, expected, rtol, atol)
            if bad.any():
                place = tuple(np.argwhere(bad)[0].tolist())
                raise GradcheckError(
                    f"Jacobian mismatch for output {o} with respect to input {number}: at element {place} of (output, input) "
                    f"finite differences give {expected[place]!r} and the VJP {found[place]!r}; {int(bad.sum())} of "
                    f"{bad.size} elements differ"
                )


def jacobian_rows(out: Tensor, leaves: list[Tensor]) -> list[np.ndarray]:
    """The Jacobian of a result by each leaf, shape (size of the result, size of the leaf), one backward pass per row."""
    found = [np.zeros((out.array.size, leaf.array.size)) for leaf in leaves]
    if not out.requires_grad:
        return found
    for row in range(out.array.size):
        g = np.zeros(out.array.shape, out.array.dtype)
        g.flat[row] = 1
        grads = grad(out, leaves, Tensor(g), retain_graph=True, allow_unused=True)
        for target, part in zip(found, grads):
            if part is not None:
                target[row] = part.array.reshape(-1)
    return found


def differences(func: Callable, leaves: list, number: int, o: int, eps: float) -> np.ndarray:
    """The Jacobian of result `o` by input `number` from difference quotients."""
    x = leaves[number].array

    def value(place: int, step: float) -> np.ndarray:
        moved = np.array(x)
        moved.flat[place] += step
        plain = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        plain[number] = Tensor(moved)
        return results(func, plain, {})[o].array.reshape(-1)

    columns = [(value(k, eps) - value(k, -eps)) / (2 * eps) for k in range(x.size)]
    rows = results(func, leaves, {})[o].array.size
    return np.stack(columns, 1) if columns else np.zeros((rows, 0))


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Check the gradients of the gradients of a function, by its inputs and by the cotangents of its results.

    Parameters
    ----------
    func, inputs, eps, atol, rtol, raise_exception, nondet_tol
        As for `gradcheck`.
    grad_outputs : Tensor or sequence of Tensor, optional
        Cotangents of the results; seeded random ones by default.

    Returns
    -------
    bool

    Raises
    ------
    GradcheckError
        As `gradcheck`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([0.5, 1.0], dtype=nb.float64, requires_grad=True)
    >>> nb.autograd.gradgradcheck(nb.exp, (x,))
    True
    """
    given = listed(inputs)
    n = len(given)
    chosen = [k for k, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    outs = results(func, given, {})
    carriers = [k for k, out in enumerate(outs) if out.array.dtype.kind == "f"]
    cotangents: Sequence[Tensor]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        cotangents = [
            Tensor(np.asarray(rng.standard_normal(outs[k].array.shape))) for k in carriers
        ]
    else:
        cotangents = listed(grad_outputs)
    seeds = [g.detach().requires_grad_() for g in cotangents]

    def slopes(*tensors: Any) -> tuple:
        leaves = list(tensors[:n])
        for k in chosen:
            if not leaves[k].requires_grad:  # a point of a difference quotient
                leaves[k] = leaves[k].detach().requires_grad_()
        found = results(func, leaves, {})
        pairs = [(found[k], g) for k, g in zip(carriers, tensors[n:]) if found[k].requires_grad]
        wanted = [leaves[k] for k in chosen]
        if not pairs:
            return tuple(Tensor(np.zeros_like(x.array)) for x in wanted)
        return grad(
            [out for out, _ in pairs], wanted, [g for _, g in pairs],
            create_graph=True, materialize_grads=True,
        )  # fmt: skip

    return gradcheck(
        slopes, (*given, *seeds), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol,
    )  # fmt: skip
