"""Categorical: a distribution over 0 .. n - 1, to sample from and to differentiate log-probabilities of."""

from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops import argmax, as_tensor, exp, gather, log, logsumexp
from nbgrad.ops.random import default_generator


class Categorical:
    """Distribution over the last dimension of `probs` or `logits`.

    Parameters
    ----------
    probs : Tensor, shape (..., n), optional
        Weights of the outcomes, not negative; they are scaled to sum to 1.
    logits : Tensor, shape (..., n), optional
        Their logarithms, up to a constant.

    Raises
    ------
    ValueError
        If not exactly one of the two is given.

    Examples
    --------
    >>> import nbgrad as nb
    >>> d = nb.distributions.Categorical(probs=nb.tensor([0.0, 1.0]))
    >>> d.sample().item()
    1
    >>> d.log_prob(nb.tensor(1)).item()
    0.0
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        given = as_tensor(probs if probs is not None else logits)
        if given.ndim < 1:
            raise ShapeError("Categorical needs at least one dimension, the outcomes")
        if probs is not None:
            self.probs = given / given.sum(-1, keepdim=True)
            self.logits = log(self.probs.clamp(min=float(np.finfo(given.dtype).tiny)))
        else:
            self.logits = given - logsumexp(given, -1, keepdim=True)
            self.probs = exp(self.logits)

    @property
    def batch_shape(self) -> Any:
        """The shape of one sample."""
        return self.probs.size()[:-1]

    def sample(self, sample_shape: tuple = ()) -> Tensor:
        """Outcomes drawn from this process's generator (int64), without a gradient."""
        weights = self.probs.detach().array
        shape = (*sample_shape, *weights.shape[:-1])
        bounds = np.cumsum(weights, axis=-1, dtype=np.float64)
        draws = default_generator.rng.random(shape)[..., None] * bounds[..., -1:]
        return Tensor(
            np.asarray((draws >= bounds).sum(-1).clip(max=weights.shape[-1] - 1), np.int64)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of outcomes."""
        logits = self.logits
        index = as_tensor(value).long().unsqueeze(-1)
        if index.ndim > logits.ndim:
            logits = logits.expand(*index.shape[:-1], logits.shape[-1])
        return gather(logits, -1, index).squeeze(-1)

    def entropy(self) -> Tensor:
        """Expected information of one sample, in nats."""
        return -(self.probs * self.logits).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest outcome."""
        return argmax(self.probs, -1)
