"""Steps: sign and roundings.  Their derivative is 0 wherever it exists, so no gradient flows."""

import numpy as np

from nbgrad.autograd.op import op


@op(constant=True)
def sign(x):
    """-1, 0 or 1."""
    return np.asarray(np.sign(x)), None


@op(constant=True)
def floor(x):
    """The largest integer not above x."""
    return np.asarray(np.floor(x)), None


@op(constant=True)
def ceil(x):
    """The smallest integer not below x."""
    return np.asarray(np.ceil(x)), None


@op(constant=True)
def round(x, decimals=0):
    """The nearest integer, halves to even."""
    return np.asarray(np.round(x, decimals)), None


@op(constant=True)
def trunc(x):
    """The integer part, towards 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.trunc(nb.tensor([-1.5, 1.5]))
    tensor([-1.,  1.])
    """
    return np.asarray(np.trunc(x), x.dtype), None
