"""Adamax: Adam with the largest recent gradient in place of the mean square."""

from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fabs, fmax
from nbgrad.optim.moments import Moments


class Adamax(Moments):
    """Adamax.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Learning rate.
    betas : pair of float
        Parts of the running mean of the gradient, and of its largest magnitude, that are kept in a step.
    eps : float
        Added to the magnitude.
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
    Kingma and Ba 2014, Adam: a method for stochastic optimization, section 7.1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.9000], requires_grad=True)
    """

    means = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        t, (m, top) = self.begin(state, p)
        beta1, beta2 = group["betas"]
        step, sign = float(group["lr"]) / (1.0 - beta1**t), self.sign(group)
        numbers = step, beta1, 1.0 - beta1, beta2, group["eps"], group["weight_decay"], sign
        _adamax(p, g, m, top, *numbers)


@kernel(">aa>a>afffffff")
def _adamax(p, g, m, top, step, keep1, new1, keep2, eps, decay, sign):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        a = keep1 * m[i] + new1 * d
        m[i] = a
        u = fmax(keep2 * top[i], fabs(d) + eps)
        top[i] = u
        p[i] -= step * a / u
