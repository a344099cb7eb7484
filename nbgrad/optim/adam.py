"""Adam: steps scaled by running means of the gradient and of its square, in one pass over memory."""

import math
from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.optimizer import Optimizer, zeros_for


class Adam(Optimizer):
    """Adam.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Learning rate.
    betas : pair of float
        Parts of the running means of the gradient, and of its square, that are kept in a step.
    eps : float
        Added to the denominator.
    weight_decay : float
        Times the parameter, added to the gradient (for the decoupled form see `AdamW`).
    amsgrad : bool
        Divide by the largest running mean so far.
    maximize : bool
        Climb instead of descend.

    Notes
    -----
    PyTorch's formulas, `d` being the gradient with weight decay and `t` the number of the step::

        m  = beta1 * m + (1 - beta1) * d
        v  = beta2 * v + (1 - beta2) * d * d
        p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    References
    ----------
    Kingma and Ba 2014, Adam: a method for stochastic optimization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.9000], requires_grad=True)
    """

    decoupled = False  # whether weight decay shrinks the parameter instead of entering the gradient

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_betas(group)

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        if not state:
            state["step"] = 0
            state["exp_avg"] = zeros_for(p)
            state["exp_avg_sq"] = zeros_for(p)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = zeros_for(p)
        state["step"] += 1
        t, (beta1, beta2), lr = int(state["step"]), group["betas"], float(group["lr"])
        decay = group["weight_decay"]
        shrink = 1.0 - lr * decay if self.decoupled else 1.0
        numbers = (
            lr / (1.0 - beta1**t),
            beta1,
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            group["eps"],
            1.0 / math.sqrt(1.0 - beta2**t),
            0.0 if self.decoupled else decay,
            shrink,
            -1.0 if group["maximize"] else 1.0,
        )
        m, v = state["exp_avg"].data, state["exp_avg_sq"].data
        if group["amsgrad"]:
            _amsgrad(p, g, m, v, state["max_exp_avg_sq"].data, *numbers)
        else:
            _adam(p, g, m, v, *numbers)


def check_betas(group: dict[str, Any]) -> None:
    """Refuse running means that would grow, and a negative eps."""
    for index, beta in enumerate(group["betas"]):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
    if not group["eps"] >= 0.0:
        raise ValueError(f"Invalid epsilon value: {group['eps']}")


@kernel(">aa>a>affffffffff")
def _adam(p, g, m, v, step, keep1, new1, keep2, new2, eps, scale, decay, shrink, sign):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        a = keep1 * m[i] + new1 * d
        b = keep2 * v[i] + new2 * d * d
        m[i] = a
        v[i] = b
        p[i] = shrink * p[i] - step * a / (fsqrt(b) * scale + eps)


@kernel(">aa>a>a>affffffffff")
def _amsgrad(p, g, m, v, top, step, keep1, new1, keep2, new2, eps, scale, decay, shrink, sign):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        a = keep1 * m[i] + new1 * d
        b = keep2 * v[i] + new2 * d * d
        m[i] = a
        v[i] = b
        c = b if b > top[i] else top[i]
        top[i] = c
        p[i] = shrink * p[i] - step * a / (fsqrt(c) * scale + eps)
