"""RMSprop: steps divided by the root of a running mean of squared gradients."""

from typing import Any

import numpy as np

from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.optimizer import Optimizer, zeros_for


class RMSprop(Optimizer):
    """RMSprop.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Learning rate.
    alpha : float
        Part of the running mean that is kept in a step.
    eps : float
        Added to the denominator.
    weight_decay : float
        Times the parameter, added to the gradient.
    momentum : float
        Part of the last step that is kept.
    centered : bool
        Divide by an estimate of the standard deviation instead.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError
        If an option is negative.

    References
    ----------
    Tieleman and Hinton 2012, lecture 6.5 of Neural networks for machine learning; Graves 2013, Generating sequences with
    recurrent neural networks (centered).

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        for name in ("alpha", "eps", "momentum"):
            if not group[name] >= 0.0:
                raise ValueError(f"Invalid {name} value: {group[name]}")

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        if not state:
            state["step"] = 0
            state["square_avg"] = zeros_for(p)
        if "momentum_buffer" not in state and (group["momentum"] > 0 or group["centered"]):
            state["momentum_buffer"] = zeros_for(p)
        if "grad_avg" not in state and group["centered"]:
            state["grad_avg"] = zeros_for(p)
        state["step"] += 1
        numbers = (
            float(group["lr"]),
            group["alpha"],
            1.0 - group["alpha"],
            group["eps"],
            group["weight_decay"],
            -1.0 if group["maximize"] else 1.0,
            group["momentum"],
        )
        v = state["square_avg"].array
        if group["centered"]:
            buffers = state["momentum_buffer"].array, state["grad_avg"].array
            _centered(p, g, v, *buffers, *numbers)
        elif group["momentum"] > 0:
            _momentum(p, g, v, state["momentum_buffer"].array, *numbers)
        else:
            _plain(p, g, v, *numbers[:-1])


@kernel(">aa>affffff")
def _plain(p, g, v, lr, keep, new, eps, decay, sign):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        s = keep * v[i] + new * d * d
        v[i] = s
        p[i] -= lr * d / (fsqrt(s) + eps)


@kernel(">aa>a>afffffff")
def _momentum(p, g, v, buffer, lr, keep, new, eps, decay, sign, momentum):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        s = keep * v[i] + new * d * d
        v[i] = s
        b = momentum * buffer[i] + d / (fsqrt(s) + eps)
        buffer[i] = b
        p[i] -= lr * b


@kernel(">aa>a>a>afffffff")
def _centered(p, g, v, buffer, mean, lr, keep, new, eps, decay, sign, momentum):
    for i in range(p.size):
        d = sign * g[i] + decay * p[i]
        s = keep * v[i] + new * d * d
        v[i] = s
        m = keep * mean[i] + new * d
        mean[i] = m
        b = momentum * buffer[i] + d / (fsqrt(s - m * m) + eps)
        buffer[i] = b
        p[i] -= lr * b
