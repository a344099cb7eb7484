"""AdamW: Adam whose weight decay does not enter the running means."""

from typing import Any

from nbgrad.optim.adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay: each step first shrinks the parameter by lr * weight_decay.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize
        As for `Adam`.
    weight_decay : float
        Times lr, the part of the parameter that a step takes away.

    References
    ----------
    Loshchilov and Hutter 2017, Decoupled weight decay regularization.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.tensor([1.0]))
    >>> optimizer = nb.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    Parameter containing:
    tensor([0.8500], requires_grad=True)
    """

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
