"""The sparse forms of operations of other files: each has the arguments of the op whose `sparse` it is."""

import math

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.sparse import SparseArray, need_sparse
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops import arithmetic, join, matmul, pointwise, reduce, shape
from nbgrad.ops.spmm import spmm


def need_tensor(name, x):
    if not hasattr(x, "dtype"):
        raise DtypeError(
            f"{name}(sparse, number) is not supported: all zeros would become {x}; call .to_dense() first"
        )


@op(inputs=2, numbers=True, sparse=True, name="add")
def sparse_add(x, y):
    """x + y; dense if one of them is."""
    need_tensor("add", x)
    need_tensor("add", y)
    return x + y, (x.dtype, y.dtype)


@sparse_add.vjp
def sparse_add(residuals, g):
    return tuple([g if g.dtype == dtype else g.astype(dtype) for dtype in residuals])


@op(inputs=2, numbers=True, sparse=True, name="sub")
def sparse_sub(x, y):
    """x - y; dense if one of them is."""
    need_tensor("sub", x)
    need_tensor("sub", y)
    return x - y, (x.dtype, y.dtype)


@sparse_sub.vjp
def sparse_sub(residuals, g):
    x, y = residuals
    return g.astype(x, copy=False), -g.astype(y, copy=False)


def stored(x):
    """An ndarray to be kept beside a sparse residual: residuals with one are freed after use."""
    return x.values if isinstance(x, SparseArray) else None


@op(inputs=2, numbers=True, sparse=True, name="mul")
def sparse_mul(x, y, needs):
    """x * y, always sparse."""
    return x * y, (x, y, needs, stored(x), stored(y))


@sparse_mul.vjp
def sparse_mul(residuals, g):
    # x_bar = g y, y_bar = g x
    x, y, needs, *_ = residuals
    return scaled(g, y, x) if needs[0] else None, scaled(g, x, y) if needs[1] else None


def scaled(g, factor, like):
    """g * factor, as the cotangent of `like`."""
    bar = g * factor
    if like.ndim == 0 and bar.ndim:
        bar = np.asarray(bar.values.sum())
    return bar if bar.dtype == like.dtype else bar.astype(like.dtype)


@op(inputs=2, numbers=True, sparse=True, name="div")
def sparse_div(x, y, needs):
    """x / y for a number y, or a tensor of one that needs no gradient."""
    need_sparse("div", x)
    if needs[1]:
        raise DtypeError("div: no gradient flows into the divisor of a sparse tensor; detach it")
    return x / y, (y, x.dtype)


@sparse_div.vjp
def sparse_div(residuals, g):
    y, dtype = residuals
    return (g / y).astype(dtype), None


@op(sparse=True, name="neg")
def sparse_neg(x):
    """-x."""
    return -x, None


@sparse_neg.vjp
def sparse_neg(residuals, g):
    return (-g,)


@op(sparse=True, name="clone")
def sparse_clone(x):
    """A copy."""
    return x.copy(), None


@sparse_clone.vjp
def sparse_clone(residuals, g):
    return (g,)


@op(sparse=True, name="cast")
def sparse_cast(x, dtype):
    """x in another dtype."""
    return x.astype(dtype), (x.dtype,)


@sparse_cast.vjp
def sparse_cast(residuals, g):
    return (g.astype(residuals[0]),)


@op(sparse=True, name="sum")
def sparse_total(x, dim=None, keepdim=False, dtype=None):
    """Sum of all elements, zeros too: the cotangent is dense."""
    if dim is not None or keepdim or dtype is not None:
        raise DtypeError(
            "sum() of a sparse tensor sums all of it, as it is; nb.sparse.sum sums over dimensions"
        )
    return np.asarray(x.values.sum()), (x.shape, x.dtype)


@sparse_total.vjp
def sparse_total(residuals, g):
    size, dtype = residuals
    return (np.full(size, g, dtype),)


def in_shape(x, size):
    """Other lengths for the dimensions with indices; places are counted as in a dense array."""
    inner = x.shape[x.n_sparse :]
    if -1 in size:
        known = math.prod([n for n in size if n != -1])
        size = [x.size // known if n == -1 and known else n for n in size]
    outer = tuple(size[: len(size) - len(inner)])
    if not outer or math.prod(size) != x.size or (*outer, *inner) != tuple(size):
        raise ShapeError(
            f"shape '{list(size)}' is invalid for a sparse input of shape {x.shape}, of which the last {len(inner)} "
            f"dimensions are dense and must stay"
        )
    places = np.unravel_index(x.rows(), outer) if len(x.values) else np.empty((len(outer), 0))
    return SparseArray(np.array(places, np.int64), x.values, tuple(size), x.is_coalesced)


@op(sparse=True, name="reshaped")
def sparse_reshaped(x, size):
    """x in another shape."""
    return in_shape(x, size), (x.shape,)


@sparse_reshaped.vjp
def sparse_reshaped(residuals, g):
    (size,) = residuals
    return (in_shape(g, size) if isinstance(g, SparseArray) else g.reshape(size),)


@op(inputs="sequence", sparse=True, name="joined")
def sparse_joined(tensors, axis):
    """Tensors one after another along a dimension that has indices."""
    need_sparse("cat", *tensors)
    first = tensors[0]
    rest = [(*x.shape[:axis], *x.shape[axis + 1 :], x.n_sparse) for x in tensors]
    if len(set(rest)) > 1 or axis >= first.n_sparse:
        raise ShapeError(
            f"cat: sparse tensors of shapes {', '.join(str(x.shape) for x in tensors)} can't be put together along "
            f"dimension {axis}: sizes must match except there, and it must have indices"
        )
    lengths = [x.shape[axis] for x in tensors]
    ends = np.cumsum(lengths).tolist()
    parts = []
    for x, end, length in zip(tensors, ends, lengths):
        part = x.indices.copy()
        part[axis] += end - length
        parts.append(part)
    size = (*first.shape[:axis], ends[-1], *first.shape[axis + 1 :])
    joined = SparseArray(
        np.concatenate(parts, 1), np.concatenate([x.values for x in tensors]), size
    )
    return joined, (axis, lengths, ends, [x.dtype for x in tensors])


@sparse_joined.vjp
def sparse_joined(residuals, g):
    axis, lengths, ends, dtypes = residuals
    bars = []
    for length, end, dtype in zip(lengths, ends, dtypes):
        start = end - length
        if isinstance(g, SparseArray):
            line = g.indices[axis]
            part = g.only((line >= start) & (line < end))
            part.indices[axis] -= start  # ours: a mask makes copies
            bar = SparseArray(
                part.indices, part.values, (*g.shape[:axis], length, *g.shape[axis + 1 :]), g.is_coalesced
            )  # fmt: skip
        else:
            bar = g[(*[slice(None)] * axis, slice(start, end))]
        bars.append(bar.astype(dtype, copy=False))
    return tuple(bars)


def sparse_matmul(x, y):
    """The product of a sparse matrix and a dense tensor; the cotangent of the sparse one is dense."""
    return spmm(x, y, is_masked=False)


arithmetic.add.sparse = sparse_add
arithmetic.sub.sparse = sparse_sub
arithmetic.mul.sparse = sparse_mul
arithmetic.div.sparse = sparse_div
pointwise.neg.sparse = sparse_neg
pointwise.cast.sparse = sparse_cast
shape.clone.sparse = sparse_clone
shape.reshaped.sparse = sparse_reshaped
join.joined.sparse = sparse_joined
reduce.sum.sparse = sparse_total
matmul.matmul.sparse = sparse_matmul
