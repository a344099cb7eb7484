"""scaled_dot_product_attention: each query takes a mean of the values, weighted by how its score with each key compares."""

import math

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops.arithmetic import add, mul
from nbgrad.ops.dropout import dropout
from nbgrad.ops.matmul import matmul
from nbgrad.ops.shape import transpose
from nbgrad.ops.softmax import softmax


def additive_mask(mask: Tensor, dtype: np.dtype) -> Tensor:
    """A mask to add to scores: a boolean one says where attention is allowed.

    Raises
    ------
    DtypeError
        If it is neither boolean nor floating-point.
    """
    if mask.dtype.kind == "b":
        return Tensor(np.where(mask.array, dtype.type(0), dtype.type(-np.inf)))
    if mask.dtype.kind != "f":
        raise DtypeError(
            f"attn_mask is boolean (where attention is allowed) or floating-point (added to the scores), got {mask.dtype}"
        )
    return mask


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(query key^T * scale + mask), shape (..., L, S)."""
    if query.ndim < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"query {query.shape} and key {key.shape} need the same last dimension, and one for positions before it"
        )
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(mul(query, factor), transpose(key, -2, -1))
    if is_causal:
        if attn_mask is not None:
            raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
        attn_mask = Tensor(np.tri(query.shape[-2], key.shape[-2], dtype=bool))
    if attn_mask is not None:
        scores = add(scores, additive_mask(attn_mask, scores.dtype))
    return softmax(scores, -1)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(query key^T * scale + mask) value.

    Parameters
    ----------
    query : Tensor, shape (..., L, d)
        One row per position that asks.
    key : Tensor, shape (..., S, d)
        One row per position that is asked.
    value : Tensor, shape (..., S, e)
        What is averaged.
    attn_mask : Tensor, shape broadcastable to (..., L, S), optional
        Boolean: where attention is allowed; floating-point: added to the scores.
    dropout_p : float
        Part of the weights set to zero, at random.
    is_causal : bool
        Position l may only look at positions up to l.
    scale : float, optional
        1 / sqrt(d) by default.

    Returns
    -------
    Tensor, shape (..., L, e)

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    ValueError
        If there are a mask and `is_causal`.

    References
    ----------
    Vaswani et al. 2017, Attention is all you need.

    Examples
    --------
    >>> import nbgrad as nb
    >>> q, k, v = nb.zeros(1, 2), nb.zeros(2, 2), nb.tensor([[1.0], [3.0]])
    >>> nb.nn.functional.scaled_dot_product_attention(q, k, v)
    tensor([[2.]])
    """
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p, True)
    return matmul(weights, value)
