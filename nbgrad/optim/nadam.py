"""NAdam: Adam that looks ahead along its momentum."""

import math
from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.moments import Moments


class NAdam(Moments):
    """NAdam.

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
        Times the parameter, added to the gradient.
    momentum_decay : float
        How quickly the schedule of the momentum reaches its end.
    decoupled_weight_decay : bool
        Shrink the parameter by lr * weight_decay instead.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError
        If an option is out of its range.

    References
    ----------
    Dozat 2016, Incorporating Nesterov momentum into Adam.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.8944], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if not group["momentum_decay"] >= 0.0:
            raise ValueError(f"Invalid momentum_decay value: {group['momentum_decay']}")

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        t, (m, v) = self.begin(state, p)
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"]))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * group["momentum_decay"]))
        product = state["mu_product"] = float(state.get("mu_product", 1.0)) * mu
        numbers = (
            lr * (1.0 - mu) / (1.0 - product),
            lr * mu_next / (1.0 - product * mu_next),
            beta1,
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            group["eps"],
            1.0 / math.sqrt(1.0 - beta2**t),
            *self.decays(group, group["decoupled_weight_decay"]),
            self.sign(group),
        )
        _nadam(p, g, m, v, *numbers)


@kernel(">aa>a>afffffffffff")
def _nadam(p, g, m, v, now, ahead, keep1, new1, keep2, new2, eps, scale, decay, shrink, sign):
    for i in range(p.size):
        q = shrink * p[i]
        d = sign * g[i] + decay * q
        a = keep1 * m[i] + new1 * d
        b = keep2 * v[i] + new2 * d * d
        m[i] = a
        v[i] = b
        p[i] = q - (now * d + ahead * a) / (fsqrt(b) * scale + eps)
