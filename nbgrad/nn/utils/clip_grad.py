"""Clip gradients, in place, between backward and step."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.buffers import writable
from nbgrad.autograd.outside import outside
from nbgrad.errors import NonFiniteError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous


def grads_of(parameters: Any) -> list[Tensor]:
    """The gradients of one or more parameters that have one."""
    several: Iterable = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in several if p.grad is not None]


@outside
def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients, in place, so that their common norm is at most `max_norm`.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are skipped.
    max_norm : float
        The limit.
    norm_type : float
        2 for the Euclidean norm, inf for the largest absolute value.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite.

    Returns
    -------
    Tensor
        The norm before clipping, as if all gradients were one vector.

    Raises
    ------
    NonFiniteError
        If asked for.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.zeros(2))
    >>> w.grad = nb.tensor([3.0, 4.0])
    >>> nb.nn.utils.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    grads = grads_of(parameters)
    arrays = [contiguous(grad.array) for grad in grads]
    if norm_type == math.inf:
        total = max((float(np.abs(g).max(initial=0.0)) for g in arrays), default=0.0)
    elif norm_type == 2:
        total = math.sqrt(math.fsum(_sum_of_squares(g) for g in arrays))
    else:
        powers = (float((np.abs(g, dtype=np.float64) ** norm_type).sum()) for g in arrays)
        total = math.fsum(powers) ** (1.0 / norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise NonFiniteError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite ({total}), so it can't "
            f"be clipped; look for the first op that returns NaN or inf, or lower the learning rate"
        )
    scale = max_norm / (total + 1e-6)
    if scale < 1.0 or math.isnan(scale):
        for grad in grads:
            array = writable(grad)
            np.multiply(array, scale, out=array)
    return Tensor(np.asarray(total, grads[0].array.dtype if grads else np.float32))


@outside
def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Cut every gradient element to [-clip_value, clip_value], in place.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.Parameter(nb.zeros(2))
    >>> w.grad = nb.tensor([3.0, -4.0])
    >>> nb.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 1., -1.])
    """
    for grad in grads_of(parameters):
        array = writable(grad)
        np.clip(array, -clip_value, clip_value, out=array)


@kernel("a=d")
def _sum_of_squares(x):
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total
