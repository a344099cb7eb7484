"""LBFGS: a quasi-Newton method for losses that can be computed again and again on the same data."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.grad_mode import enable_grad, no_grad
from nbgrad.errors import GraphError
from nbgrad.nn.utils import parameters_to_vector, vector_to_parameters
from nbgrad.optim.line_search import strong_wolfe
from nbgrad.optim.optimizer import Optimizer


class LBFGS(Optimizer):
    """Limited-memory BFGS; `step` needs a closure that computes the loss and its gradients.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves to update; one group only.
    lr : float
        Length of a step, in units of the quasi-Newton step.
    max_iter : int
        Iterations of one `step`.
    max_eval : int, optional
        Calls of the closure in one `step`; 1.25 * max_iter by default.
    tolerance_grad : float
        Stop where the largest component of the gradient is at most this.
    tolerance_change : float
        Stop where the parameters or the loss change by less than this.
    history_size : int
        Pairs of step and change of gradient that are kept.
    line_search_fn : {None, "strong_wolfe"}
        How the length of a step is found.

    Raises
    ------
    ValueError
        If there are several groups, or the line search is not one of those.
    GraphError
        If `step` gets no closure.

    References
    ----------
    Nocedal and Wright 2006, Numerical optimization, algorithms 7.4, 7.5, 3.5 and 3.6.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([3.0, -2.0]))
    >>> optimizer = nb.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1.0) * (w - 1.0)).sum()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> bool((w.detach() - 1.0).abs().max() < 1e-5)
    True
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(
                f"line_search_fn must be None or 'strong_wolfe', got {line_search_fn!r}"
            )
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations; the loss at the start, as PyTorch returns it."""
        if closure is None:
            raise GraphError(
                "LBFGS.step() needs a closure that computes the loss again, calls backward() and returns the loss"
            )
        group = self.param_groups[0]
        params: list[Tensor] = group["params"]
        state = self.state.setdefault(params[0], {"func_evals": 0, "n_iter": 0})
        first: list = []
        n_calls = 0

        def evaluate(x: np.ndarray | None) -> tuple[float, np.ndarray]:
            nonlocal n_calls
            if x is not None:
                vector_to_parameters(Tensor(x), params)
            with enable_grad():
                loss = closure()
            if not first:
                first.append(loss)
            n_calls += 1
            state["func_evals"] += 1
            return float(loss), flat_gradient(params)

        f, g = evaluate(None)
        if np.abs(g).max(initial=0.0) <= group["tolerance_grad"]:
            return first[0]
        for _ in range(group["max_iter"]):
            state["n_iter"] += 1
            d = self.direction(state, g, group["history_size"])
            slope = float(g @ d)
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / float(np.abs(g).sum())) * group["lr"]
            else:
                t = group["lr"]
            if slope > -group["tolerance_change"]:
                break
            with no_grad():
                x = parameters_to_vector(params).numpy()
            before_f, before_g = f, g
            if group["line_search_fn"]:
                t, f, g = strong_wolfe(functools.partial(along, evaluate, x, d), t, f, g, d)
                vector_to_parameters(Tensor(x + t * d), params)
            else:
                f, g = evaluate(x + t * d)
            state["pair"] = t * d, g - before_g
            is_over = (
                n_calls >= group["max_eval"]
                or np.abs(g).max() <= group["tolerance_grad"]
                or np.abs(t * d).max() <= group["tolerance_change"]
                or abs(f - before_f) < group["tolerance_change"]
            )
            if is_over:
                break
        return first[0]

    def direction(self, state: dict[str, Any], g: np.ndarray, most: int) -> np.ndarray:
        """The quasi-Newton direction: the two-loop recursion over the kept pairs."""
        steps, changes = state.setdefault("old_stps", []), state.setdefault("old_dirs", [])
        if "pair" in state:
            s, y = state.pop("pair")
            curvature = float(y @ s)
            if curvature > 1e-10:
                steps.append(s)
                changes.append(y)
                del steps[:-most], changes[:-most]
                state["H_diag"] = curvature / float(y @ y)
        q = -g
        parts = []
        for s, y in zip(reversed(steps), reversed(changes)):
            a = float(s @ q) / float(y @ s)
            parts.append(a)
            q = q - a * y
        q = q * state.get("H_diag", 1.0)
        for s, y, a in zip(steps, changes, reversed(parts)):
            q = q + (a - float(y @ q) / float(y @ s)) * s
        return q


def along(evaluate: Callable, x: np.ndarray, d: np.ndarray, t: float) -> tuple[float, np.ndarray]:
    """Loss and gradient at x + t * d."""
    return evaluate(x + t * d)


def flat_gradient(params: list[Tensor]) -> np.ndarray:
    """All gradients as one new vector; absent ones are 0."""
    return np.concatenate(
        [
            np.zeros(p.array.size, p.array.dtype) if p.grad is None else p.grad.array.ravel()
            for p in params
        ]
    )
