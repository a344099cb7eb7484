"""Activations composed of other operations: their gradients, of any order, are those of the parts."""

from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.activation import elu, leaky_relu, softplus
from nbgrad.ops.compare import le
from nbgrad.ops.dims import dim_of
from nbgrad.ops.join import chunk
from nbgrad.ops.pointwise import sigmoid, tanh
from nbgrad.ops.random import default_generator
from nbgrad.ops.softmax import softmax

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def selu(input: Any) -> Any:
    """scale elu(x, alpha), with the two constants that keep mean and variance.

    References
    ----------
    Klambauer et al. 2017, Self-normalizing neural networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.selu(nb.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return elu(input, SELU_ALPHA) * SELU_SCALE


def celu(input: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha (e^(x / alpha) - 1) below: an elu whose slope has no jump.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.celu(nb.tensor([-1.0, 1.0]), 2.0)
    tensor([-0.7869,  1.0000])
    """
    return elu(input / alpha) * alpha


def logsigmoid(input: Any) -> Any:
    """log(sigmoid(x)), without overflow.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.logsigmoid(nb.tensor([0.0, -100.0]))
    tensor([  -0.6931, -100.0000])
    """
    return -softplus(-input)


def softsign(input: Any) -> Any:
    """x / (1 + |x|).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.softsign(nb.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return input / (abs(input) + 1)


def tanhshrink(input: Any) -> Any:
    """x - tanh(x).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.tanhshrink(nb.tensor([1.0]))
    tensor([0.2384])
    """
    return input - tanh(input)


def mish(input: Any) -> Any:
    """x tanh(softplus(x)).

    References
    ----------
    Misra 2019, Mish: a self regularized non-monotonic activation function.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.mish(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """
    return input * tanh(softplus(input))


def glu(input: Any, dim: int = -1) -> Any:
    """The first half along a dimension, times the sigmoid of the second.

    Raises
    ------
    ShapeError
        If the length is odd.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.glu(nb.tensor([2.0, 0.0]))
    tensor([1.])
    """
    n = input.shape[dim_of(dim, input.ndim)]
    if n % 2:
        raise ShapeError(f"glu: Halving dimension must be even, but dimension {dim} is size {n}")
    a, b = chunk(input, 2, dim)
    return a * sigmoid(b)


def prelu(input: Any, weight: Any) -> Any:
    """x above 0, weight x below; one weight, or one per channel (dimension 1).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.prelu(nb.tensor([-4.0, 2.0]), nb.tensor([0.25]))
    tensor([-1.,  2.])
    """
    if weight.numel() != 1:
        channels = input.shape[1] if input.ndim > 1 else input.shape[0]
        if weight.numel() != channels:
            raise ShapeError(
                f"prelu: Mismatch of parameter numbers and input channel size: {weight.numel()} weights and {channels} "
                f"channels"
            )
        weight = weight.reshape(1, -1, *[1] * (input.ndim - 2)) if input.ndim > 1 else weight
    below = le(input, 0.0).to(input.dtype)
    return input * (1 - below) + input * below * weight


def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    """leaky_relu whose slope is drawn per element in training, and the middle of [lower, upper] otherwise.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.rrelu(nb.tensor([-4.0, 2.0]), 0.25, 0.25)
    tensor([-1.,  2.])
    """
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    drawn = default_generator.rng.uniform(lower, upper, input.array.shape)
    return input * Tensor(np.where(input.array > 0, 1, drawn).astype(input.dtype))


def softmin(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """softmax(-x).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.softmin(nb.tensor([1.0, 1.0]), 0)
    tensor([0.5000, 0.5000])
    """
    return softmax(-input, dim, dtype)


def gumbel_softmax(logits: Any, tau: float = 1.0, hard: bool = False, dim: int = -1) -> Any:
    """A sample of one class, relaxed so that gradients flow; one-hot in the forward if `hard`.

    References
    ----------
    Jang et al. 2017, Categorical reparameterization with Gumbel-softmax.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.gumbel_softmax(nb.zeros(3), hard=True).sum()
    tensor(1.)
    """
    noise = -np.log(default_generator.rng.exponential(size=logits.array.shape))
    soft = softmax((logits + Tensor(noise.astype(logits.dtype))) / tau, dim)
    if not hard:
        return soft
    axis = dim_of(dim, logits.ndim)
    one_hot = np.zeros_like(soft.array)
    np.put_along_axis(one_hot, np.expand_dims(soft.array.argmax(axis), axis), 1, axis)
    return Tensor(one_hot - soft.array) + soft
