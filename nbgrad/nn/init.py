"""Initial values of parameters: every function fills a tensor in place and returns it.

Names and formulas are PyTorch's.  Numbers come from the generator that `nb.manual_seed` seeds.
"""

import math
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.buffers import writable
from nbgrad.errors import ShapeError
from nbgrad.ops.random import default_generator

GAINS = {
    "linear": 1.0,
    "identity": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: Any = None) -> float:
    """The factor by which an activation shrinks the standard deviation, inverted.

    Examples
    --------
    >>> from nbgrad import nn
    >>> nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"Unsupported nonlinearity {nonlinearity}; known are leaky_relu, {', '.join(GAINS)}"
        )
    return GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Number of inputs and of outputs of one unit of a layer with this weight."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ShapeError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, and this one has shape "
            f"{shape}"
        )
    field = int(np.prod(shape[2:]))
    return shape[1] * field, shape[0] * field


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers in [a, b).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.init.uniform_(nb.empty(2), 3.0, 3.0)
    tensor([3., 3.])
    """
    array = writable(tensor)
    rng = (generator or default_generator).rng
    array[...] = rng.random(array.shape, array.dtype) * (b - a) + a
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.init.normal_(nb.empty(2), 3.0, 0.0)
    tensor([3., 3.])
    """
    array = writable(tensor)
    rng = (generator or default_generator).rng
    array[...] = rng.standard_normal(array.shape, array.dtype) * std + mean
    return tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal numbers, drawn again while outside [a, b].

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.nn.init.trunc_normal_(nb.empty(100))
    >>> bool((abs(x) <= 2).all())
    True
    """
    array = writable(tensor)
    rng = (generator or default_generator).rng
    outside = np.ones(array.shape, np.bool_)
    while outside.any():
        n = int(outside.sum())
        array[outside] = rng.standard_normal(n, array.dtype) * std + mean
        outside = (array < a) | (array > b)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.init.constant_(nb.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    writable(tensor).fill(val)
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """All zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """All ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    array = writable(tensor)
    array[...] = np.eye(*array.shape)
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [-a, a), a = gain sqrt(6 / (fan_in + fan_out)).

    References
    ----------
    Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.init.xavier_uniform_(nb.empty(3, 3))
    >>> bool((abs(w) <= 1).all())
    True
    """
    fan_in, fan_out = fans(tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out))."""
    fan_in, fan_out = fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def fan_of(tensor: Tensor, mode: str) -> int:
    fan_in, fan_out = fans(tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'Mode {mode} not supported, please use one of "fan_in", "fan_out"')
    return fan_in if mode == "fan_in" else fan_out


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform in [-b, b), b = gain sqrt(3 / fan).

    Parameters
    ----------
    tensor : Tensor
        The weight.
    a : float
        Slope below 0 of a leaky relu.
    mode : {"fan_in", "fan_out"}
        Keep the variance of the forward or of the backward pass.
    nonlinearity : str
        Which activation follows.

    References
    ----------
    He et al. 2015, Delving deep into rectifiers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.nn.init.kaiming_uniform_(nb.empty(4, 3))
    >>> bool((abs(w) <= 2**0.5).all())
    True
    """
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan_of(tensor, mode))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan)."""
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan_of(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """A matrix with orthonormal rows or columns, times gain.

    References
    ----------
    Saxe et al. 2013, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> q = nb.nn.init.orthogonal_(nb.empty(3, 3, dtype=nb.float64))
    >>> nb.allclose(q @ q.T, nb.eye(3, dtype=nb.float64))
    True
    """
    array = writable(tensor)
    if array.ndim < 2:
        raise ShapeError(
            f"Only tensors with 2 or more dimensions are supported, got shape {array.shape}"
        )
    rows, columns = array.shape[0], array.size // array.shape[0]
    rng = (generator or default_generator).rng
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    array[...] = ((q if rows >= columns else q.T) * gain).reshape(array.shape)
    return tensor
