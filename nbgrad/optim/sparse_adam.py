"""SparseAdam: Adam for row-sparse gradients, which touches only the rows that have one."""

import math
from typing import Any

import numpy as np

from nbgrad.errors import DtypeError
from nbgrad.jit import kernel
from nbgrad.jit.primitive import fsqrt
from nbgrad.optim.moments import Moments


class SparseAdam(Moments):
    """Adam whose running means, and parameters, change only where a sparse gradient has places.

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
    maximize : bool
        Climb instead of descend.

    Notes
    -----
    PyTorch's formulas, for the rows of the gradient `g` and the number `t` of the step::

        m  = beta1 * m + (1 - beta1) * g
        v  = beta2 * v + (1 - beta2) * g * g
        p -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)

    Examples
    --------
    >>> import nbgrad as nb
    >>> layer = nb.nn.Embedding.from_pretrained(nb.zeros(3, 1), freeze=False, sparse=True)
    >>> optimizer = nb.optim.SparseAdam(layer.parameters(), lr=0.1)
    >>> layer(nb.tensor([1])).sum().backward()
    >>> optimizer.step()
    >>> layer.weight
    Parameter containing:
    tensor([[ 0.0000],
            [-0.1000],
            [ 0.0000]], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if not group["eps"] > 0.0:
            raise ValueError(f"Invalid epsilon value: {group['eps']}")

    def check_layout(self, group: dict[str, Any], is_sparse: bool) -> None:
        if not is_sparse:
            raise DtypeError(
                "SparseAdam does not support dense gradients, please consider Adam instead"
            )

    def update(self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: Any) -> None:
        t, (m, v) = self.begin(state, p)
        g = g.coalesce()  # each row once, since the update is not linear
        beta1, beta2 = group["betas"]
        step = float(group["lr"]) * math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
        sign = self.sign(group)
        rows, values = np.ascontiguousarray(g.rows()), np.ascontiguousarray(g.values)
        _sparse_adam(
            p, values, rows, m, v, step, beta1, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], sign,
            g.columns,
        )  # fmt: skip


@kernel(">AAk>A>Afffffffn")
def _sparse_adam(p, g, rows, m, v, step, keep1, new1, keep2, new2, eps, sign, columns):
    for i in range(rows.size):
        row = rows[i] * columns
        for c in range(columns):
            d = sign * g[i * columns + c]
            k = row + c
            a = keep1 * m[k] + new1 * d
            b = keep2 * v[k] + new2 * d * d
            m[k] = a
            v[k] = b
            p[k] -= step * a / (fsqrt(b) + eps)
