"""Products of a sparse matrix with a dense matrix or vector: work goes with the places, not with the zeros."""

import numpy as np

from nbgrad.autograd.dtypes import is_floating
from nbgrad.autograd.op import op
from nbgrad.autograd.sparse import SparseArray, need_sparse, zeros
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.matmul import check_operands


@op(inputs=2, sparse=True)
def spmm(x, y, needs, is_masked):
    """x y for a sparse matrix x; `is_masked`: the cotangent of x has its places only."""
    need_sparse("sparse.mm", x)
    if isinstance(y, SparseArray) or x.ndim != 2 or x.n_sparse != 2:
        raise DtypeError(
            "the product of a sparse matrix with two dimensions of indices and a dense tensor is supported, and no "
            "other of sparse tensors; call .to_dense()"
        )
    check_operands("sparse.mm", x, y)
    if y.ndim > 2 or not is_floating(y.dtype):
        raise ShapeError(
            f"sparse.mm: a vector or matrix of floats is needed, got {y.shape}, {y.dtype}"
        )
    x, y = x.coalesce(), contiguous(y)
    z = zeros((x.shape[0], *y.shape[1:]), y.dtype)
    rows, columns = x.indices
    _spmm(x.values, np.ascontiguousarray(rows), np.ascontiguousarray(columns), y, z, n_columns(y))
    return z, (x, y, needs, is_masked)


@spmm.vjp
def spmm(residuals, g):
    # x_bar = g y^T, y_bar = x^T g
    x, y, needs, is_masked = residuals
    g = contiguous(g)
    rows, columns = [np.ascontiguousarray(line) for line in x.indices]
    x_bar = y_bar = None
    if needs[0] and is_masked:
        values = np.empty_like(x.values)
        _spmm_vjp(g, y, rows, columns, values, n_columns(y))
        x_bar = x.like(values)
    elif needs[0]:
        x_bar = np.matmul(g.reshape(len(g), -1), y.reshape(len(y), -1).T)
    if needs[1]:
        y_bar = zeros(y.shape, y.dtype)
        _spmm(x.values, columns, rows, g, y_bar, n_columns(y))
    return x_bar, y_bar


def n_columns(y: np.ndarray) -> int:
    return y.shape[1] if y.ndim == 2 else 1


@kernel("AkkA>An")
def _spmm(values, rows, columns, y, z, n):
    for i in range(values.size):
        row = y[columns[i] * n : (columns[i] + 1) * n]
        into = z[rows[i] * n : (rows[i] + 1) * n]
        for c in range(n):
            into[c] += values[i] * row[c]


@kernel("AAkk>An")
def _spmm_vjp(g, y, rows, columns, values, n):
    for i in range(values.size):
        a = g[rows[i] * n : (rows[i] + 1) * n]
        b = y[columns[i] * n : (columns[i] + 1) * n]
        total = values.dtype.type(0)
        for c in range(n):
            total += a[c] * b[c]
        values[i] = total
