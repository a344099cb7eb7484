"""Sparse tensors: made, taken apart, and what operations there are on them; also known as `nb.sparse`.

Gradients are sparse where PyTorch's are; a cotangent that arrives may be either.  Forms of `add`, `stack` and others for
sparse tensors are in `sparse_forms.py`.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.device import check_device
from nbgrad.autograd.dtypes import as_array, as_dtype, is_floating
from nbgrad.autograd.op import op
from nbgrad.autograd.sparse import SparseArray, need_sparse
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, GraphError, ShapeError
from nbgrad.ops.dims import axes_of
from nbgrad.ops.pointwise import cast
from nbgrad.ops.spmm import spmm


def masked(g: Any, x: SparseArray) -> SparseArray:
    """`g` where x has places, each of them once."""
    mine = x.coalesce()
    return mine.like(g.at(mine) if isinstance(g, SparseArray) else g[tuple(mine.indices)])


# ---------------------------------------------------------------- made and taken apart


@op(sparse=True)
def constructed(values, indices, size):
    """`values` at `indices`."""
    return SparseArray(indices, values, size), (indices, size)


@constructed.vjp
def constructed(residuals, g):
    indices, size = residuals
    if isinstance(g, SparseArray):
        return (g.at(SparseArray(indices, g.values[:0], size)),)
    return (g[tuple(indices)],)


def sparse_coo_tensor(
    indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A sparse tensor of given values at given places; a place that occurs twice gets the sum.

    Parameters
    ----------
    indices : Tensor or nested lists of int, shape (k, n)
        Places along the first k dimensions.
    values : Tensor or nested lists, shape (n, ...)
        What is there; gradients flow into a tensor that requires them.
    size : tuple of int, optional
        The whole shape; just large enough by default.
    dtype : dtype, optional
        Convert the values first.
    requires_grad : bool
        Whether the result is a leaf into which gradients flow.

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or a place lies outside.
    DtypeError
        If the indices are not integers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3))
    >>> x
    tensor(indices=tensor([[0, 1, 1],
                           [2, 0, 2]]),
           values=tensor([3., 4., 5.]),
           size=(2, 3), nnz=3, layout=sparse_coo)
    >>> x.to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 5.]])
    """
    check_device(device)
    places = as_array(indices.array if isinstance(indices, Tensor) else indices)
    if places.size == 0:
        places = places.astype(np.int64)
    if places.dtype.kind not in "iu":
        raise DtypeError(f"sparse_coo_tensor: indices must be an int tensor, got {places.dtype}")
    given = values if isinstance(values, Tensor) else Tensor(as_array(values))
    if dtype is not None:
        given = cast(given, as_dtype(dtype))
    array = given.array
    if places.ndim != 2 or array.ndim < 1 or places.shape[1] != len(array):
        raise ShapeError(
            f"sparse_coo_tensor: indices and values must have same nnz, (k, n) and (n, ...), but got shapes "
            f"{places.shape} and {array.shape}"
        )
    places = np.array(places, np.int64, order="C")
    ends = places.max(1, initial=-1) + 1
    whole = (*ends.tolist(), *array.shape[1:]) if size is None else tuple(int(n) for n in size)
    k = len(places)
    if len(whole) != k + array.ndim - 1 or whole[k:] != array.shape[1:]:
        raise ShapeError(
            f"sparse_coo_tensor: size {whole} does not fit {k} rows of indices and values of shape {array.shape}"
        )
    if k == 0 or places.min(initial=0) < 0 or (ends > whole[:k]).any():
        raise ShapeError(
            f"sparse_coo_tensor: size is inconsistent with indices: they must lie from 0 to below {whole[:k]}, and go from "
            f"{places.min(1, initial=0).tolist()} to {(ends - 1).tolist()}"
        )
    if not requires_grad:
        return constructed(given, places, whole)
    if not is_floating(array.dtype):
        raise DtypeError(
            f"Only Tensors of floating point dtype can require gradients, and these values are {array.dtype}"
        )
    return Tensor(SparseArray(places, array, whole), True)  # type: ignore[arg-type]


@op(sparse=True)
def coalesced(x):
    """x with each place once."""
    need_sparse("coalesce", x)
    return x.coalesce(), None


@coalesced.vjp
def coalesced(residuals, g):
    return (g,)


def coalesce(x: Tensor) -> Tensor:
    """x with its places sorted and each of them once, with the sum of its values.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (2,)).coalesce().values()
    tensor([5.])
    """
    return x if is_coalesced(x) else coalesced(x)


@op(sparse=True)
def values_of(x):
    """The values, one per place."""
    return x.values, (x.indices, x.shape)


@values_of.vjp
def values_of(residuals, g):
    indices, size = residuals
    return (SparseArray(indices, g, size, True),)


def values(x: Tensor) -> Tensor:
    """The values of a coalesced sparse tensor; gradients flow through them.

    Raises
    ------
    GraphError
        If it is not coalesced.
    """
    if not is_coalesced(x):
        raise GraphError(
            "Cannot get values on an uncoalesced tensor, please call .coalesce() first"
        )
    return values_of(x)


def indices(x: Tensor) -> Tensor:
    """The places of a coalesced sparse tensor, shape (k, n).

    Raises
    ------
    GraphError
        If it is not coalesced.
    """
    if not is_coalesced(x):
        raise GraphError(
            "Cannot get indices on an uncoalesced tensor, please call .coalesce() first"
        )
    return plain_indices(x)


def array_of(x: Tensor) -> SparseArray:
    need_sparse("this method", x.array)
    return x.array  # type: ignore[return-value]


def plain_indices(x: Tensor) -> Tensor:
    """The places as they are stored, `x._indices()`."""
    return Tensor(array_of(x).indices)


def plain_values(x: Tensor) -> Tensor:
    """The values as they are stored, `x._values()`; no gradient flows through them."""
    return Tensor(array_of(x).values)


def is_coalesced(x: Tensor) -> bool:
    """Whether places are sorted and none occurs twice."""
    return array_of(x).is_coalesced


def n_places(x: Tensor) -> int:
    """How many places are stored, `x._nnz()`."""
    return len(array_of(x).values)


def sparse_dim(x: Tensor) -> int:
    """How many dimensions have indices."""
    return array_of(x).n_sparse


def dense_dim(x: Tensor) -> int:
    """How many dimensions a single value has."""
    return array_of(x).ndim - array_of(x).n_sparse


@op(sparse=True)
def dense_of(x):
    """x as a dense array."""
    return x.to_dense(), (x, x.values)  # an ndarray among them: freed after use


@dense_of.vjp
def dense_of(residuals, g):
    return (masked(g, residuals[0]),)


def to_dense(x: Tensor) -> Tensor:
    """x with all of its zeros; x itself if it is dense.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sparse_coo_tensor([[2]], [1.0], (4,)).to_dense()
    tensor([0., 0., 1., 0.])
    """
    return dense_of(x) if x.is_sparse else x


@op(sparse=True)
def sparse_of(x, n_sparse):
    """The places of x that are not zero."""
    there = x.reshape(*x.shape[:n_sparse], -1).any(-1) if n_sparse < x.ndim else x != 0
    places = np.nonzero(there)
    return SparseArray(np.array(places, np.int64), x[places], x.shape, True), None


@sparse_of.vjp
def sparse_of(residuals, g):
    return (g.to_dense() if isinstance(g, SparseArray) else g,)


def to_sparse(x: Tensor, sparse_dim: int | None = None) -> Tensor:
    """The places of x that are not zero, along its first dimensions; x itself if it is sparse.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tensor([0.0, 5.0]).to_sparse()
    tensor(indices=tensor([[1]]),
           values=tensor([5.]),
           size=(2,), nnz=1, layout=sparse_coo)
    """
    n_sparse = x.ndim if sparse_dim is None else sparse_dim
    if not 0 < n_sparse <= x.ndim:
        raise ShapeError(
            f"to_sparse: sparse_dim must be from 1 to the number of dimensions, {x.ndim}; got {n_sparse}"
        )
    return x if x.is_sparse else sparse_of(x, n_sparse)


# ---------------------------------------------------------------- sums and products


@op(sparse=True)
def summed(x, axes):
    """Sum over dimensions; dense if none of those with indices is left."""
    need_sparse("sparse.sum", x)
    mine = x.coalesce()
    k = x.n_sparse
    kept = [axis for axis in range(k) if axis not in axes]
    inner = tuple([axis - k + 1 for axis in axes if axis >= k])
    values = mine.values.sum(inner) if inner else mine.values
    size = tuple([n for axis, n in enumerate(x.shape) if axis not in axes])
    residuals = mine, kept, inner, mine.values
    if not kept:
        return np.asarray(values.sum(0)), residuals
    return SparseArray(mine.indices[kept], values, size).coalesce(), residuals


@summed.vjp
def summed(residuals, g):
    # the cotangent of each sum goes to all places of x that are in it
    mine, kept, inner, _ = residuals
    values = np.empty_like(mine.values)
    if not kept:
        part = g[None]
    elif isinstance(g, SparseArray):
        part = g.at(SparseArray(mine.indices[kept], mine.values[:0], g.shape))
    else:
        part = g[tuple(mine.indices[kept])]
    values[...] = np.expand_dims(part, inner) if inner else part
    return (mine.like(values),)


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """Sum of a sparse tensor; its gradient has the places of the tensor and no others.

    Parameters
    ----------
    input : Tensor
        A sparse one.
    dim : int or tuple of int, optional
        Dimensions to sum over, all by default.
    dtype : dtype, optional
        Convert first.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.sparse_coo_tensor([[0, 1], [1, 1]], [3.0, 4.0], (2, 2), requires_grad=True)
    >>> nb.sparse.sum(x).backward()
    >>> x.grad.values()
    tensor([1., 1.])
    """
    if dtype is not None:
        input = cast(input, as_dtype(dtype))
    return summed(input, axes_of(dim, input.ndim))


def mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """Product of a sparse and a dense matrix; the gradient of the sparse one has its places and no others.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.sparse_coo_tensor([[0], [1]], [2.0], (2, 2))
    >>> nb.sparse.mm(x, nb.ones(2, 1))
    tensor([[2.],
            [0.]])
    """
    return spmm(mat1, mat2, is_masked=True)
