"""Activations made of straight lines."""

from typing import Any

import numpy as np

from nbgrad.ops.elementwise import kinked


@kinked(lambda x: (x > 0) & (x < 6))
def relu6(x):
    """x, cut to [0, 6].

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.relu6(nb.tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """
    return np.clip(x, 0, 6)


@kinked(lambda x, min_val=-1.0, max_val=1.0: (x > min_val) & (x < max_val))
def hardtanh(x, min_val=-1.0, max_val=1.0):
    """x, cut to [min_val, max_val].

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.hardtanh(nb.tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    return np.clip(x, min_val, max_val)


@kinked(lambda x: ((x > -3) & (x < 3)) / 6)
def hardsigmoid(x):
    """x / 6 + 1/2, cut to [0, 1].

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.hardsigmoid(nb.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return np.clip(x / 6 + 0.5, 0, 1)


@kinked(lambda x, lambd=0.5: np.abs(x) > lambd)
def hardshrink(x, lambd=0.5):
    """x, and 0 within lambd of 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.hardshrink(nb.tensor([-2.0, 0.1]))
    tensor([-2.,  0.])
    """
    return np.where(np.abs(x) > lambd, x, 0)


@kinked(lambda x, lambd=0.5: np.abs(x) > lambd)
def softshrink(x, lambd=0.5):
    """x moved towards 0 by lambd, and 0 within lambd of it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.softshrink(nb.tensor([-2.0, 0.1]))
    tensor([-1.5000,  0.0000])
    """
    return np.sign(x) * np.maximum(np.abs(x) - lambd, 0)


@kinked(lambda x, threshold, value: x > threshold)
def threshold(x, threshold, value):
    """x above the threshold, `value` elsewhere.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.threshold(nb.tensor([0.5, 2.0]), 1.0, -1.0)
    tensor([-1.,  2.])
    """
    return np.where(x > threshold, x, value)


def hardswish(x: Any) -> Any:
    """x times hardsigmoid(x).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.hardswish(nb.tensor([-4.0, 3.0]))
    tensor([-0., 3.])
    """
    return x * hardsigmoid(x)
