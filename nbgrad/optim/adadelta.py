"""Adadelta: steps in the units of the parameter, from running means of squared gradients and of squared steps."""

from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.optimizer import Optimizer, zeros_for


class Adadelta(Optimizer):
    """Adadelta.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Times the step.
    rho : float
        Part of the running means that is kept in a step.
    eps : float
        Added under both roots.
    weight_decay : float
        Times the parameter, added to the gradient.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError
        If an option is out of its range.

    References
    ----------
    Zeiler 2012, Adadelta: an adaptive learning rate method.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.Adadelta([w], rho=0.75, eps=0.25)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.2929], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if not 0.0 <= group["rho"] <= 1.0:
            raise ValueError(f"Invalid rho value: {group['rho']}")
        if not group["eps"] >= 0.0:
            raise ValueError(f"Invalid eps value: {group['eps']}")

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        if not state:
            state["step"] = 0
            state["square_avg"] = zeros_for(p)
            state["acc_delta"] = zeros_for(p)
        state["step"] += 1
        sign = -1.0 if group["maximize"] else 1.0
        numbers = group["rho"], 1.0 - group["rho"], group["eps"], group["weight_decay"], sign
        buffers = state["square_avg"].array, state["acc_delta"].array
        _adadelta(p, g, *buffers, float(group["lr"]), *numbers)


@kernel(">aa>a>affffff")
def _adadelta(p, g, v, steps, lr, keep, new, eps, decay, sign):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        s = keep * v[i] + new * d * d
        v[i] = s
        step = fsqrt(steps[i] + eps) / fsqrt(s + eps) * d
        steps[i] = keep * steps[i] + new * step * step
        p[i] -= lr * step
