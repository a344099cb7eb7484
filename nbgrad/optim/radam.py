"""RAdam: Adam whose first steps wait until the variance of its mean square is known."""

import math
from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.moments import Moments


class RAdam(Moments):
    """RAdam.

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
    Liu et al. 2019, On the variance of the adaptive learning rate and beyond.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.RAdam([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        t, (m, v) = self.begin(state, p)
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        left = 1.0 - beta2**t
        most = 2.0 / (1.0 - beta2) - 1.0
        length = (
            most - 2.0 * t * (1.0 - left) / left
        )  # of the window that the mean square stands for
        step, is_adaptive = lr / (1.0 - beta1**t), length > 5.0
        if is_adaptive:
            above = (length - 4) * (length - 2) * most
            step *= math.sqrt(above / ((most - 4) * (most - 2) * length)) * math.sqrt(left)
        numbers = (
            step,
            beta1,
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            group["eps"],
            *self.decays(group, group["decoupled_weight_decay"]),
            self.sign(group),
            int(is_adaptive),
        )
        _radam(p, g, m, v, *numbers)


@kernel(">aa>a>afffffffffn")
def _radam(p, g, m, v, step, keep1, new1, keep2, new2, eps, decay, shrink, sign, adaptive):
    for i in range(p.size):
        q = shrink * p[i]
        d = sign * g[i] + decay * q
        a = keep1 * m[i] + new1 * d
        b = keep2 * v[i] + new2 * d * d
        m[i] = a
        v[i] = b
        if adaptive:
            a = a / (fsqrt(b) + eps)
        p[i] = q - step * a
