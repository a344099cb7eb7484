"""Losses that compare distributions: kl_div, and the negative log-likelihoods of Poisson and of Gauss."""

import math
from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.choose import clamp, where
from nbgrad.ops.cross_entropy import averaged, check_reduction
from nbgrad.ops.exponential import xlogy
from nbgrad.ops.pointwise import exp, log


def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """Kullback-Leibler divergence of a distribution from a target: target (log target - input).

    Parameters
    ----------
    input : Tensor
        Logarithms of probabilities.
    target : Tensor
        Probabilities, or their logarithms with `log_target`.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" is the sum divided by the first length, which is what the name promises; "mean" divides by all elements.
    log_target : bool
        Whether the target is in logarithms, too.

    Returns
    -------
    Tensor
        Nats.

    References
    ----------
    Kullback and Leibler 1951, On information and sufficiency.

    Examples
    --------
    >>> import nbgrad as nb
    >>> p = nb.tensor([0.5, 0.5])
    >>> nb.nn.functional.kl_div(p.log(), p, reduction="sum")
    tensor(0.)
    """
    if reduction != "batchmean":
        check_reduction(reduction)
    if log_target:
        losses = exp(target) * (target - input)
    else:
        losses = xlogy(target, target) - target * input
    if reduction == "batchmean":
        return losses.sum() / max(input.shape[0] if input.ndim else 1, 1)
    return averaged(losses, losses.numel(), reduction)


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """Negative log-likelihood of counts that are Poisson-distributed.

    Parameters
    ----------
    input : Tensor
        The expected counts, or their logarithms with `log_input`.
    target : Tensor
        The counts.
    log_input : bool
        Whether `input` is in logarithms.
    full : bool
        Add Stirling's approximation of log(target!), for counts above 1.
    eps : float
        Added to expected counts before their logarithm is taken.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.poisson_nll_loss(nb.tensor([0.0]), nb.tensor([2.0]))
    tensor(1.)
    """
    check_reduction(reduction)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = clamp(target, 1.0)
        stirling = safe * log(safe) - safe + log(safe * (2 * math.pi)) * 0.5
        losses = losses + where(target.detach() > 1, stirling, 0.0)
    return averaged(losses, losses.numel(), reduction)


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """Negative log-likelihood of values that are normally distributed.

    Parameters
    ----------
    input, target : Tensor
        Expected values, and values.
    var : Tensor or float
        Variances: one per value, or one for all of the last dimension.
    full : bool
        Add the constant log(2 pi) / 2.
    eps : float
        The least variance; cut without influence on the gradient.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.

    Raises
    ------
    ShapeError
        If the variances do not fit.
    ValueError
        If one is negative.

    References
    ----------
    Nix and Weigend 1994, Estimating the mean and variance of the target probability distribution.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.gaussian_nll_loss(nb.tensor([1.0]), nb.tensor([3.0]), nb.tensor([1.0]))
    tensor(2.)
    """
    check_reduction(reduction)
    if not isinstance(var, Tensor):
        var = Tensor(np.full(input.shape, var, input.dtype))
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or var.shape[:-1] != input.shape[:-1] or var.shape[-1] != 1:
            raise ShapeError(
                f"gaussian_nll_loss: var is of incorrect size {tuple(var.shape)} for input {tuple(input.shape)}"
            )
    if (var.array < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entry/entries")
    raised = var + Tensor(np.maximum(eps - var.array, 0).astype(var.dtype))
    losses = (log(raised) + (input - target) ** 2 / raised) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return averaged(losses, losses.numel(), reduction)
