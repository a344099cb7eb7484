"""Adam: steps scaled by running means of the gradient and of its square, in one pass over memory."""

import math
from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.moments import Moments
from nbgrad.optim.optimizer import zeros_for


class Adam(Moments):
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

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        t, (m, v) = self.begin(state, p)
        if t == 1 and group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_for(p)
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        numbers = (
            lr / (1.0 - beta1**t),
            beta1,
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            group["eps"],
            1.0 / math.sqrt(1.0 - beta2**t),
            *self.decays(group, self.decoupled),
            self.sign(group),
        )
        if group["amsgrad"]:
            _amsgrad(p, g, m, v, state["max_exp_avg_sq"].array, *numbers)
        else:
            _adam(p, g, m, v, *numbers)


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
