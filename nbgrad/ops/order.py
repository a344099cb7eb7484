"""Elements in order along a dimension: sort, argsort, topk, kthvalue, median; and take_along_dim, which looks up places.

Places are constants; values are taken at them, so a cotangent goes back to where its value came from.
"""

from typing import Any, NamedTuple

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.errors import ShapeError
from nbgrad.ops.dims import dim_of
from nbgrad.ops.index import gather
from nbgrad.ops.peak import along, no_elements
from nbgrad.ops.shape import expand, flatten


class Ordered(NamedTuple):
    """Values and the places along a dimension that they come from."""

    values: Any
    indices: Any


def order_of(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """Places in rising or falling order; equal elements keep theirs, and NaN counts as the largest."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    # Backwards twice: equal elements stay in order, and types without a minus sign work, too.
    places = np.argsort(np.flip(x, axis), axis, kind="stable")
    return np.ascontiguousarray(x.shape[axis] - 1 - np.flip(places, axis))


@op(constant=True)
def argsort(x, dim=-1, descending=False, stable=True):
    """The places of the elements along a dimension, in order of their values.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int
        Along which to sort.
    descending : bool
        Largest first.
    stable : bool
        Accepted; equal elements always keep their order.

    Returns
    -------
    Tensor of int64, shape of `x`

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.argsort(nb.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    axis = dim_of(dim, x.ndim)
    if x.ndim == 0:
        return np.zeros((), np.int64), None
    return order_of(x, axis, descending), None


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> Ordered:
    """The elements along a dimension in order, and the places they come from.

    Parameters
    ----------
    x, dim, descending, stable
        As for `argsort`.

    Returns
    -------
    (values, indices)
        Tensors of the shape of `x`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> values, indices = nb.sort(nb.tensor([3.0, 1.0, 2.0]), descending=True)
    >>> values, indices
    (tensor([3., 2., 1.]), tensor([0, 2, 1]))
    """
    places = argsort(x, dim, descending)
    return Ordered(gather(x, dim, places) if x.ndim else x.clone(), places)


@op(constant=True)
def best_places(x, k, axis, largest, sorted):
    """The places of the k largest or smallest elements along an axis."""
    n = x.shape[axis]
    first = (slice(None),) * axis
    if k in (0, n):
        chosen = order_of(x, axis, largest)[(*first, slice(0, k))]
    else:
        cut = n - k if largest else k - 1
        part = np.argpartition(x, cut, axis)
        chosen = part[(*first, slice(cut, None) if largest else slice(0, k))]
        chosen = np.sort(chosen, axis)  # equal elements in the order of their places
        if sorted:
            inside = order_of(np.take_along_axis(x, chosen, axis), axis, largest)
            chosen = np.take_along_axis(chosen, inside, axis)
    return np.ascontiguousarray(chosen), None


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ordered:
    """The k largest (or smallest) elements along a dimension, and their places.

    Parameters
    ----------
    x : Tensor
        Values.
    k : int
        How many.
    dim : int
        Along which to choose.
    largest : bool
        The largest ones; else the smallest.
    sorted : bool
        In order of their values; else in the order of their places.

    Returns
    -------
    (values, indices)

    Raises
    ------
    ShapeError
        If there are fewer than k.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.topk(nb.tensor([3.0, 1.0, 2.0]), 2).values
    tensor([3., 2.])
    """
    axis = dim_of(dim, x.ndim)
    n = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= n:
        raise ShapeError(
            f"topk: selected index k out of range: k is {k} and there are {n} elements"
        )
    if x.ndim == 0:
        return sort(x)
    places = best_places(x, k, axis, largest, sorted)
    return Ordered(gather(x, axis, places), places)


@op(constant=True)
def place_of_rank(x, k, axis):
    """The place of the k-th smallest element along an axis, which is kept."""
    return np.take(np.argpartition(x, k, axis), [k], axis), None


def kthvalue(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Ordered:
    """The k-th smallest element along a dimension (the smallest for k = 1), and its place.

    Raises
    ------
    ShapeError
        If there are fewer than k.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.kthvalue(nb.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    n = x.shape[dim_of(dim, x.ndim)] if x.ndim else 1
    if not 1 <= k <= n:
        raise ShapeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: k is {k} and there are {n} elements"
        )
    if x.ndim == 0:
        return sort(x)
    return Ordered(*along(x, dim, keepdim, lambda x, axis, _: place_of_rank(x, k - 1, axis)))


@op(constant=True)
def middle(x, axis, keepdim):
    """The place of the median along an axis, which is kept; of the first NaN where there is one."""
    k = (x.shape[axis] - 1) // 2
    places = np.take(np.argpartition(x, k, axis), [k], axis)
    if x.dtype.kind == "f":
        lost = np.isnan(x)
        places = np.where(lost.any(axis, keepdims=True), lost.argmax(axis, keepdims=True), places)
    return places, None


def median(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element: of an even number, the lower of the two; NaN where an element is NaN.

    Parameters
    ----------
    x : Tensor
        Values.
    dim : int, optional
        Along which; without it, of all elements.
    keepdim : bool
        Keep the dimension with length 1.

    Returns
    -------
    Tensor or (values, indices)
        Places come with the values where `dim` is given.

    Raises
    ------
    ShapeError
        If there are no elements.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.median(nb.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor(2.)
    >>> nb.median(nb.tensor([[3.0, 1.0, 2.0]]), 1).indices
    tensor([2])
    """
    if dim is None:
        return median(flatten(x), 0).values
    if x.ndim == 0:
        return sort(x)
    no_elements("median", x.array, (dim_of(dim, x.ndim),))
    return Ordered(*along(x, dim, keepdim, middle))


def take_along_dim(x: Any, indices: Any, dim: int | None = None) -> Any:
    """The elements at `indices` along a dimension; the other dimensions are broadcast.

    Parameters
    ----------
    x : Tensor
        Values.
    indices : Tensor of int64
        As many dimensions as `x`, for instance what `argsort` gave.
    dim : int, optional
        Without it both are taken flat.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([[3.0, 1.0], [5.0, 2.0]])
    >>> nb.take_along_dim(x, nb.argmax(x, 1, keepdim=True), 1)
    tensor([[3.],
            [5.]])
    """
    if dim is None:
        return gather(flatten(x), 0, flatten(indices))
    if x.ndim != indices.ndim:
        raise ShapeError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got {x.ndim} and "
            f"{indices.ndim}"
        )
    axis = dim_of(dim, x.ndim)

    def shape(own: Any, other: Any) -> tuple:
        apart = [max(a, b) if 0 not in (a, b) else 0 for a, b in zip(own.shape, other.shape)]
        return (*apart[:axis], own.shape[axis], *apart[axis + 1 :])

    return gather(expand(x, shape(x, indices)), axis, expand(indices, shape(indices, x)))
