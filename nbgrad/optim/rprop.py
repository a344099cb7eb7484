"""Rprop: steps from the signs of gradients alone, for batches that are the whole data."""

from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.jit import kernel
from nbgrad.jit.primitive import fmax, fmin
from nbgrad.optim.optimizer import Optimizer, zeros_for


class Rprop(Optimizer):
    """Resilient backpropagation.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Leaves to update, or groups of them.
    lr : float
        Size of the first steps.
    etas : pair of float
        A step shrinks by the first where the gradient's sign has changed, and grows by the second where it has not.
    step_sizes : pair of float
        Smallest and largest step.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError
        If `etas` are not 0 < first < 1 < second.

    References
    ----------
    Riedmiller and Braun 1993, A direct adaptive method for faster backpropagation learning: the RPROP algorithm.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.Rprop([w], lr=0.1)
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
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        below, above = group["etas"]
        if not 0.0 < below < 1.0 < above:
            raise ValueError(f"Invalid eta values: {below}, {above}")

    def update(
        self, group: dict[str, Any], state: dict[str, Any], p: np.ndarray, g: np.ndarray
    ) -> None:
        if not state:
            state["step"] = 0
            state["prev"] = zeros_for(p)
            state["step_size"] = Tensor(np.full(p.shape, float(group["lr"]), p.dtype))
        state["step"] += 1
        sign = -1.0 if group["maximize"] else 1.0
        numbers = (*map(float, group["etas"]), *map(float, group["step_sizes"]), sign)
        _rprop(p, g, state["prev"].array, state["step_size"].array, *numbers)


@kernel(">aa>a>afffff")
def _rprop(p, g, previous, size, shrink, grow, least, most, sign):
    for i in range(p.size):
        d = sign * g[i]
        product = d * previous[i]
        factor = 1.0
        if product > 0:
            factor = grow
        elif product < 0:
            factor = shrink
            d = 0.0
        s = fmin(fmax(size[i] * factor, least), most)
        size[i] = s
        previous[i] = d
        if d > 0:
            p[i] -= s
        elif d < 0:
            p[i] += s
