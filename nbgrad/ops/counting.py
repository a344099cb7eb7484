"""Questions about values whose answers are places or counts: nonzero, unique, bincount, count_nonzero, searchsorted, isin."""

from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.ops.dims import axes_of


@op(constant=True)
def count_nonzero(x, dim=None):
    """How many elements are not 0, along dimensions or in all.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.count_nonzero(nb.tensor([[0, 1], [2, 3]]), 0)
    tensor([1, 2])
    """
    return np.asarray(np.count_nonzero(x, axes_of(dim, x.ndim)), np.int64), None


def nonzero(x: Any, *, as_tuple: bool = False) -> Any:
    """Where elements are not 0: one row of places per element, or with `as_tuple` one vector per dimension.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nonzero(nb.tensor([[0, 5], [6, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    if as_tuple:
        return tuple([Tensor(places) for places in np.nonzero(np.atleast_1d(x.array))])
    return Tensor(np.argwhere(x.array))


argwhere = nonzero


def unique(
    x: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:  # fmt: skip
    """The different elements (or slices along a dimension), in order.

    Parameters
    ----------
    x : Tensor
        Values.
    sorted : bool
        Accepted; they always are.
    return_inverse, return_counts : bool
        Also the place of each element of `x` among them; how often each occurs.
    dim : int, optional
        Compare whole slices along it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.unique(nb.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    values, inverse, counts = np.unique(x.array, return_inverse=True, return_counts=True, axis=dim)
    found = [Tensor(values)]
    if return_inverse:
        found.append(Tensor(inverse.reshape(x.shape if dim is None else -1)))
    if return_counts:
        found.append(Tensor(counts))
    return found[0] if len(found) == 1 else tuple(found)


@op(constant=True)
def bincount(x, weights=None, minlength=0):
    """How often each integer from 0 on occurs; with weights, their sums.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.bincount(nb.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    y = np.bincount(x, weights, minlength)
    return y if weights is None or weights.dtype != np.float32 else y.astype(np.float32), None


@op(constant=True)
def searchsorted(sorted_sequence, values, right=False):
    """Where values would have to be put into a sorted vector to keep it sorted.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.searchsorted(nb.tensor([1, 3, 5]), nb.tensor([3, 4]))
    tensor([1, 2])
    """
    places = np.searchsorted(sorted_sequence, values, "right" if right else "left")
    return np.asarray(places, np.int64), None


@op(constant=True)
def isin(x, test_elements):
    """Whether each element is one of others.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.isin(nb.tensor([1, 2, 3]), nb.tensor([2, 5]))
    tensor([False,  True, False])
    """
    return np.isin(x, test_elements), None
