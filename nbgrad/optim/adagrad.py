"""Adagrad: steps divided by the root of the sum of all squared gradients so far."""

from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    """Adagrad.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Learning rate.
    lr_decay : float
        The rate of step t is lr / (1 + (t - 1) * lr_decay).
    weight_decay : float
        Times the parameter, added to the gradient.
    initial_accumulator_value : float
        What the sums start from.
    eps : float
        Added to the denominator.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError
        If an option is negative.

    References
    ----------
    Duchi, Hazan and Singer 2011, Adaptive subgradient methods for online learning and stochastic optimization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        for name in ("lr_decay", "initial_accumulator_value", "eps"):
            if not group[name] >= 0.0:
                raise ValueError(f"Invalid {name} value: {group[name]}")

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        if not state:
            state["step"] = 0
            state["sum"] = Tensor(np.full(p.shape, group["initial_accumulator_value"], p.dtype))
        state["step"] += 1
        lr = float(group["lr"]) / (1.0 + (int(state["step"]) - 1) * group["lr_decay"])
        sign = -1.0 if group["maximize"] else 1.0
        _adagrad(p, g, state["sum"].array, lr, group["eps"], group["weight_decay"], sign)


@kernel(">aa>affff")
def _adagrad(p, g, total, lr, eps, decay, sign):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        s = total[i] + d * d
        total[i] = s
        p[i] -= lr * d / (fsqrt(s) + eps)
