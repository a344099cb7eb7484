"""linear: x W^T + b, the layer that most time of most models goes to."""

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.op import op
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous, sum_leading


@op(inputs=3)
def linear(input, weight, bias=None, needs=None):
    """x W^T + b.

    Parameters
    ----------
    input : Tensor, shape (..., in_features)
        Values.
    weight : Tensor, shape (out_features, in_features)
        One row per result.
    bias : Tensor, shape (out_features,), optional
        Added to each row.

    Returns
    -------
    Tensor, shape (..., out_features)

    Raises
    ------
    ShapeError
        If the numbers of features differ.
    DtypeError
        If the dtypes differ.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.linear(nb.ones(1, 2), nb.ones(3, 2), nb.tensor([0.0, 1.0, 2.0]))
    tensor([[2., 3., 4.]])
    """
    if weight.ndim != 2 or input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: mat1 and mat2 shapes cannot be multiplied: input {input.shape} needs a weight of shape "
            f"(out_features, {input.shape[-1] if input.ndim else '?'}), got {weight.shape}"
        )
    if input.dtype != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
        raise DtypeError(
            f"linear: mat1 and mat2 must have the same dtype, but the input is {input.dtype}, the weight "
            f"{weight.dtype} and the bias {None if bias is None else bias.dtype}; convert with .to(...)"
        )
    rows = input if input.ndim == 2 else input.reshape(-1, input.shape[-1])
    y = np.matmul(rows, weight.T, out=empty((rows.shape[0], weight.shape[0]), weight.dtype))
    if bias is not None:
        if bias.shape != (weight.shape[0],):
            raise ShapeError(
                f"linear: the bias has shape {bias.shape}, and the weight {weight.shape} needs ({weight.shape[0]},)"
            )
        _add_bias(y, contiguous(bias), rows.shape[0], weight.shape[0])
    if input.ndim != 2:
        y = y.reshape(*input.shape[:-1], weight.shape[0])
    return y, (
        input if needs[1] else None,
        weight if needs[0] else None,
        needs[2],
        input.shape,
    )


@linear.vjp
def linear(residuals, g):
    # x_bar = g W, W_bar = g^T x, b_bar = sum of the rows of g
    x, weight, with_bias, shape = residuals
    rows = g if g.ndim == 2 else g.reshape(-1, g.shape[-1])
    x_bar = w_bar = b_bar = None
    if weight is not None:
        x_bar = np.matmul(rows, weight, out=empty((rows.shape[0], shape[-1]), g.dtype))
        if len(shape) != 2:
            x_bar = x_bar.reshape(shape)
    if x is not None:
        x = x if x.ndim == 2 else x.reshape(-1, shape[-1])
        w_bar = np.matmul(rows.T, x, out=empty((rows.shape[1], shape[-1]), g.dtype))
    if with_bias:
        b_bar = sum_leading(rows, rows.shape[1:])
    return x_bar, w_bar, b_bar


@linear.double("0 1")
def linear(residuals, g):
    x, weight, with_bias, shape = residuals
    rows = g.reshape(-1, g.shape[-1])
    x_bar = None if weight is None else (rows @ weight).reshape(shape)
    w_bar = None if x is None else rows.T @ x.reshape(-1, shape[-1])
    return x_bar, w_bar, rows.sum(0) if with_bias else None


@kernel(">aAnn")
def _add_bias(y, bias, rows, columns):
    for r in range(rows):
        row = y[r * columns : (r + 1) * columns]
        for c in range(columns):
            row[c] += bias[c]
