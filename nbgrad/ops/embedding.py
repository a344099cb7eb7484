"""Embeddings: rows of a matrix, chosen by integers: y[i] = weight[input[i]].

The cotangent of `weight` is dense, or, with sparse=True, row-sparse: as many rows as there were integers.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.autograd.sparse import SparseArray, add_rows, zeros
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.index import spread_out

NO_PADDING = -1


def check_index(name: str, index: Any, weight: np.ndarray) -> np.ndarray:
    """The index as contiguous int64, all within the rows of `weight`."""
    if weight.ndim != 2:
        raise ShapeError(
            f"{name}: 'weight' must be 2-D, (rows, features), got shape {weight.shape}"
        )
    if index.dtype.kind not in "iu":
        raise DtypeError(
            f"{name}: Expected tensor for argument 'input' to have one of the following scalar types: Long, Int; but got "
            f"{index.dtype}; convert it with .long()"
        )
    index = np.ascontiguousarray(index, np.int64).reshape(index.shape)
    bad = _first_outside(index, len(weight))
    if bad >= 0:
        raise IndexError(
            f"{name}: index out of range in self: element {bad} of input is {index.flat[bad]}, and the weight has rows 0 to "
            f"{len(weight) - 1}"
        )
    return index


def padding_row(padding_idx: int | None, n_rows: int) -> int:
    """`padding_idx` as a number of a row, NO_PADDING if there is none."""
    if padding_idx is None:
        return NO_PADDING
    if not -n_rows <= padding_idx < n_rows:
        raise ValueError(
            f"Padding_idx must be within num_embeddings: got {padding_idx} for a weight of {n_rows} rows"
        )
    return padding_idx % n_rows


def refuse(max_norm: Any, scale_grad_by_freq: bool) -> None:
    if max_norm is not None or scale_grad_by_freq:
        raise NotImplementedError(
            "embedding: max_norm and scale_grad_by_freq are not supported; normalize the weight, or scale its gradient in a "
            "hook, yourself"
        )


def weight_bar(index: Any, values: Any, padding: int, shape: tuple, sparse: bool) -> Any:
    """The cotangent of `weight`: `values[i]` belongs to row `index[i]`, and nothing to the padding."""
    index = index.reshape(-1)
    if padding != NO_PADDING:
        keep = index != padding
        if not keep.all():
            index, values = index[keep], values[keep]
    if sparse:
        return SparseArray(index.reshape(1, -1).copy(), values, shape)
    w_bar = zeros(shape, values.dtype)
    add_rows(values, index, w_bar, shape[1])
    return w_bar


@op
def embedded(weight, index, padding, sparse):
    """weight[index]."""
    index = check_index("embedding", index, weight)
    y = empty((*index.shape, weight.shape[1]), weight.dtype)
    np.take(weight, index, 0, out=y, mode="clip")  # checked above, and "raise" would copy
    return y, (index, padding, weight.shape, sparse)


@embedded.vjp
def embedded(residuals, g):
    # w_bar[r] = sum of g[i] over the i with index[i] = r
    index, padding, shape, sparse = residuals
    return (weight_bar(index, g.reshape(-1, shape[1]), padding, shape, sparse),)


@embedded.double()
def embedded(residuals, g):
    index, padding, shape, _ = residuals
    index, rows = index.reshape(-1), g.reshape(-1, shape[1])
    if padding != NO_PADDING:
        rows = rows.masked_fill(Tensor((index == padding).reshape(-1, 1)), 0)
    return (spread_out(rows, shape, (index,)),)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a matrix, chosen by integers.

    Parameters
    ----------
    input : Tensor of integers
        Numbers of rows.
    weight : Tensor, shape (rows, features)
        The matrix.
    padding_idx : int, optional
        A row that gets no gradient; counted from the end if negative.
    max_norm, norm_type, scale_grad_by_freq
        PyTorch's; refused.
    sparse : bool
        Whether the gradient of `weight` is sparse: it then has the rows that were chosen, and no others.

    Returns
    -------
    Tensor, shape (*input.shape, features)

    Raises
    ------
    IndexError
        If there is no such row.
    DtypeError
        If `input` does not hold integers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> weight = nb.eye(3, requires_grad=True)
    >>> y = nb.nn.functional.embedding(nb.tensor([1, 0]), weight, sparse=True)
    >>> y
    tensor([[0., 1., 0.],
            [1., 0., 0.]], grad_fn=<EmbeddedBackward0>)
    >>> y.sum().backward()
    >>> weight.grad
    tensor(indices=tensor([[1, 0]]),
           values=tensor([[1., 1., 1.],
                          [1., 1., 1.]]),
           size=(3, 3), nnz=2, layout=sparse_coo)
    """
    refuse(max_norm, scale_grad_by_freq)
    return embedded(weight, input, padding_row(padding_idx, len(weight)), sparse)


@kernel("kn=n")
def _first_outside(index, n_rows):
    for i in range(index.size):
        if index[i] < 0 or index[i] >= n_rows:
            return i
    return -1
