"""dropout: zero elements at random, and scale the others so that the mean stays."""

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.jit import maker
from nbgrad.ops.arithmetic import mul
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.pointwise import floats
from nbgrad.ops.random import default_generator


@op
def dropout(input, p=0.5, training=True):
    """Zero each element with probability p; multiply the others by 1 / (1 - p).

    Parameters
    ----------
    input : Tensor
        Values.
    p : float
        Probability of zeroing.
    training : bool
        If False nothing happens.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If p is not between 0 and 1.

    References
    ----------
    Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.dropout(nb.ones(2), 0.5, training=False)
    tensor([1., 1.])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input, None
    x = floats(input)
    # 23 random bits of float32 decide, whatever the dtype: a mask is the same for float64.
    kept = default_generator.rng.random(x.shape, "float32") >= p
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    return _masked(x, kept, scale), (kept, scale)


@dropout.vjp
def dropout(residuals, g):
    if residuals is None:
        return (g,)
    kept, scale = residuals
    return (_masked(contiguous(g), kept, scale),)


@dropout.double()
def dropout(residuals, g):
    if residuals is None:
        return (g,)
    kept, scale = residuals
    return (g * Tensor(np.asarray(kept * scale, g.dtype)),)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero whole channels with probability p; multiply the others by 1 / (1 - p).

    Parameters
    ----------
    input : Tensor, shape (n, channels, height, width) or (channels, height, width)
        Feature maps.
    p : float
        Probability of zeroing a channel.
    training : bool
        If False nothing happens.

    Raises
    ------
    ShapeError
        If the input has not 3 or 4 dimensions.
    ValueError
        If p is not between 0 and 1.

    References
    ----------
    Tompson et al. 2015, Efficient object localization using convolutional networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.dropout2d(nb.ones(1, 2, 1, 1), 1.0).tolist()
    [[[[0.0]], [[0.0]]]]
    """
    if input.ndim not in (3, 4):
        raise ShapeError(
            f"dropout2d: input must have 3 or 4 dimensions (channels, height and width at the end), got shape "
            f"{tuple(input.shape)}"
        )
    if not training and 0.0 <= p <= 1.0:
        return input
    channels = Tensor(np.ones((*input.shape[:-2], 1, 1), input.dtype))
    return mul(input, dropout(channels, p, training))


@maker("auf>a")
def _masked(x, kept, scale, y):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = x[i] * scale if kept[i] else zero
