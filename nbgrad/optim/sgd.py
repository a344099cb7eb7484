"""SGD: stochastic gradient descent with momentum, in one pass over memory."""

from typing import Any

import numpy as np

from nbgrad.autograd.sparse import SparseArray, add_rows
from nbgrad.errors import DtypeError
from nbgrad.jit import kernel
from nbgrad.optim.optimizer import Optimizer, zeros_for


class SGD(Optimizer):
    """Stochastic gradient descent.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Learning rate.
    momentum : float
        Part of the last step that is kept.
    dampening : float
        Part of the gradient that does not enter the momentum.
    weight_decay : float
        Times the parameter, added to the gradient.
    nesterov : bool
        Look ahead along the momentum.
    maximize : bool
        Climb instead of descend.

    Notes
    -----
    PyTorch's formulas, `d` being the gradient with weight decay::

        buf = momentum * buf + (1 - dampening) * d      (the first time: buf = d)
        p  -= lr * (d + momentum * buf if nesterov else buf)

    A sparse gradient without momentum touches only the rows it has.

    References
    ----------
    Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if not group["momentum"] >= 0.0:
            raise ValueError(f"Invalid momentum value: {group['momentum']}")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def check_layout(self, group: dict[str, Any], is_sparse: bool) -> None:
        if is_sparse and group["weight_decay"]:
            raise DtypeError(
                "weight_decay option is not compatible with sparse gradients: it changes all rows, not only those that have "
                "a gradient"
            )

    def update(self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: Any) -> None:
        lr, momentum, decay = float(group["lr"]), float(group["momentum"]), group["weight_decay"]
        sign = -1.0 if group["maximize"] else 1.0
        if isinstance(g, SparseArray):
            if momentum == 0.0:
                add_rows(g.values * (-lr * sign), g.rows(), p, g.columns)
                return
            g = g.to_dense()  # the momentum of all rows moves them
        if momentum == 0.0:
            _sgd(p, g, lr, decay, sign)
            return
        buffer = state.get("momentum_buffer")
        keep = 1.0 - group["dampening"]
        if buffer is None:
            buffer = state["momentum_buffer"] = zeros_for(p)
            keep = 1.0
        _sgd_momentum(p, g, buffer.array, lr, momentum, keep, decay, sign, int(group["nesterov"]))


@kernel(">aafff")
def _sgd(p, g, lr, decay, sign):
    for i in range(p.size):
        p[i] -= lr * (sign * g[i] + decay * p[i])


@kernel(">aa>afffffn")
def _sgd_momentum(p, g, buffer, lr, momentum, keep, decay, sign, nesterov):
    if nesterov:
        for i in range(p.size):
            d = sign * g[i] + decay * p[i]
            b = momentum * buffer[i] + keep * d
            buffer[i] = b
            p[i] -= lr * (d + momentum * b)
    else:
        for i in range(p.size):
            d = sign * g[i] + decay * p[i]
            b = momentum * buffer[i] + keep * d
            buffer[i] = b
            p[i] -= lr * b
