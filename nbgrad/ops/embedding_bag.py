"""Bags of embeddings: rows of a matrix, chosen by integers, reduced without being written out.

y[b] = reduction of weight[input[i]] over the i of bag b, offsets[b] <= i < offsets[b + 1]

The cotangent of `weight` is dense, or, with sparse=True, row-sparse, as that of `embedding`.
"""

import warnings
from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.sparse import zeros
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.embedding import check_index, padding_row, refuse, weight_bar
from nbgrad.ops.index import spread_out

MODES = {"sum": 0, "mean": 1, "max": 2}


@op(inputs=2)
def bagged(weight, scale, index, starts, mode, padding, sparse, needs):
    """Bag b reduces the rows index[starts[b]] ... index[starts[b + 1] - 1]; `scale` is a factor per index, or empty."""
    index = check_index("embedding_bag", index, weight)
    weight, scale = contiguous(weight), contiguous(scale)
    if scale.dtype != weight.dtype:
        raise DtypeError(
            f"embedding_bag: per_sample_weights are {scale.dtype} and the weight {weight.dtype}; they must be equal"
        )
    n_bags, columns = len(starts) - 1, weight.shape[1]
    y = zeros((n_bags, columns), weight.dtype)
    if mode == MODES["max"]:
        best = np.full(y.size, -1)
        _bag_max(weight, index, starts, y, best, columns, padding)
        return y, (best, weight.shape)
    _bag_sum(weight, index, starts, scale, y, columns, padding, mode)
    kept = weight if needs[1] else None
    return y, (index, starts, scale, kept, mode, padding, weight.shape, sparse, needs[0])


@bagged.vjp
def bagged(residuals, g):
    g = contiguous(g)
    if len(residuals) == 2:
        # w_bar[best[b, c], c] += g[b, c]
        best, shape = residuals
        w_bar = zeros(shape, g.dtype)
        _bag_max_vjp(g, best, w_bar, shape[1])
        return w_bar, None
    # y[b] = sum of scale[i] w[index[i]]: w_bar[index[i]] += scale[i] g[b], scale_bar[i] = <g[b], w[index[i]]>
    index, starts, scale, weight, mode, padding, shape, sparse, needs_weight = residuals
    w_bar: Any = None
    scale_bar = None
    if needs_weight:
        values = zeros((index.size, shape[1]), g.dtype)
        _bag_values(g, index, starts, scale, values, shape[1], padding, mode)
        w_bar = weight_bar(index, values, padding, shape, sparse)
    if weight is not None:
        scale_bar = zeros((index.size,), g.dtype)
        _bag_scale_vjp(g, weight, index, starts, scale_bar, shape[1], padding)
        scale_bar = scale_bar.reshape(scale.shape)
    return w_bar, scale_bar


@bagged.double(". . 1 0")
def bagged(residuals, g):
    if len(residuals) == 2:
        best, shape = residuals
        columns = np.broadcast_to(np.arange(shape[1]), (len(g), shape[1])).ravel()
        used = np.flatnonzero(best >= 0)
        return spread_out(g.reshape(-1)[used], shape, (best[used], columns[used])), None
    index, starts, scale, weight, mode, padding, shape, _, _ = residuals
    bag = np.repeat(np.arange(len(starts) - 1), np.diff(starts))  # of each index
    used = np.flatnonzero(index.reshape(-1)[: len(bag)] != padding)
    bag, rows = bag[used], index.reshape(-1)[used]
    given = g[bag]
    if scale.numel():
        values = given * scale.reshape(-1)[used].unsqueeze(1)
        scale_bar = None
        if weight is not None:
            products = (given * weight[rows]).sum(1)
            scale_bar = spread_out(products, (index.size,), (used,)).reshape(scale.shape)
        return spread_out(values, shape, (rows,)), scale_bar
    if mode == MODES["mean"]:
        counts = np.bincount(bag, minlength=len(starts) - 1)[bag]
        given = given / Tensor(counts.reshape(-1, 1).astype(given.dtype))
    return spread_out(given, shape, (rows,)), None


def bag_starts(input: Tensor, offsets: Any, include_last_offset: bool) -> np.ndarray:
    """Where each bag starts among the flattened indices, and where the last one ends."""
    n = input.numel()
    if input.ndim == 2:
        if offsets is not None:
            raise ShapeError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets).__name__}"
            )
        rows, length = input.shape
        return np.arange(rows + 1) * length
    if input.ndim != 1:
        raise ShapeError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if offsets is None or offsets.ndim != 1:
        raise ShapeError(
            f"offsets has to be a 1D Tensor but got {None if offsets is None else f'{offsets.ndim} dimensions'}"
        )
    given = offsets.array
    if given.dtype.kind not in "iu":
        raise DtypeError(f"embedding_bag: offsets must be integers, got {given.dtype}")
    if include_last_offset and not given.size:
        raise ShapeError("include_last_offset: number of offset should be at least 1")
    ends = [] if include_last_offset else [n]
    starts = np.concatenate([given, ends]).astype(np.int64, copy=False)
    if starts[0] != 0 and given.size:
        raise ShapeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got "
            f"{starts[0]}"
        )
    if given.size and given[-1] > n:
        raise ShapeError(
            f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of {given[-1]}"
        )
    if (starts[1:] < starts[:-1]).any():
        raise ShapeError("embedding_bag: offsets must not decrease: bags lie one after the other")
    return starts


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima over bags of rows of a matrix, without the rows themselves.

    Parameters
    ----------
    input : Tensor of integers, shape (n,) or (bags, length)
        Numbers of rows; in two dimensions each row is a bag.
    weight : Tensor, shape (rows, features)
        The matrix.
    offsets : Tensor of integers, shape (bags,)
        Where each bag starts in a one-dimensional input.
    max_norm, norm_type, scale_grad_by_freq
        PyTorch's; refused.
    mode : {"mean", "sum", "max"}
        The reduction; of an empty bag it is 0.
    sparse : bool
        Whether the gradient of `weight` is sparse; not for "max".
    per_sample_weights : Tensor, shape of input, optional
        Factors of the rows, for "sum" only; differentiable.
    include_last_offset : bool
        Whether `offsets` ends with the end of the last bag.
    padding_idx : int, optional
        A row that is left out of all bags.

    Returns
    -------
    Tensor, shape (bags, features)

    Raises
    ------
    IndexError
        If there is no such row.
    ShapeError, DtypeError, ValueError, NotImplementedError
        If arguments do not fit together.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.embedding_bag(nb.tensor([0, 1, 1]), nb.eye(2), nb.tensor([0, 2]))
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """
    if weight.array.dtype.kind in "iu" and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    refuse(max_norm, scale_grad_by_freq)
    if mode not in MODES:
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights: use sparse=False")
    scale: Any = np.empty(0, weight.array.dtype)
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}'); multiply by the length of the bags"
            )
        if per_sample_weights.array.shape != input.array.shape:
            raise ShapeError(
                f"embedding_bag: If per_sample_weights ({per_sample_weights.array.shape}) is not None, then it must have "
                f"the same shape as the input ({input.array.shape})"
            )
        scale = per_sample_weights
    starts = bag_starts(input, offsets, include_last_offset)
    padding = padding_row(padding_idx, len(weight))
    return bagged(weight, scale, input, starts, MODES[mode], padding, sparse)


@kernel("AkkA>Annn")
def _bag_sum(weight, index, starts, scale, y, columns, padding, mode):
    one = y.dtype.type(1)
    for b in range(starts.size - 1):
        into = y[b * columns : (b + 1) * columns]
        count = 0
        for i in range(starts[b], starts[b + 1]):
            if index[i] != padding:
                count += 1
                row = weight[index[i] * columns : (index[i] + 1) * columns]
                factor = scale[i] if scale.size else one
                for c in range(columns):
                    into[c] += factor * row[c]
        if mode == 1 and count > 1:
            for c in range(columns):
                into[c] /= y.dtype.type(count)


@kernel("AkkA>Annn")
def _bag_values(g, index, starts, scale, values, columns, padding, mode):
    one = values.dtype.type(1)
    for b in range(starts.size - 1):
        given = g[b * columns : (b + 1) * columns]
        share = one
        if mode == 1:
            count = 0
            for i in range(starts[b], starts[b + 1]):
                if index[i] != padding:
                    count += 1
            if count > 1:
                share = one / values.dtype.type(count)
        for i in range(starts[b], starts[b + 1]):
            factor = scale[i] if scale.size else share
            into = values[i * columns : (i + 1) * columns]
            for c in range(columns):
                into[c] = factor * given[c]


@kernel("AAkk>Ann")
def _bag_scale_vjp(g, weight, index, starts, scale_bar, columns, padding):
    for b in range(starts.size - 1):
        given = g[b * columns : (b + 1) * columns]
        for i in range(starts[b], starts[b + 1]):
            if index[i] != padding:
                row = weight[index[i] * columns : (index[i] + 1) * columns]
                total = g.dtype.type(0)
                for c in range(columns):
                    total += given[c] * row[c]
                scale_bar[i] = total


@kernel("Akk>A>knn")
def _bag_max(weight, index, starts, y, best, columns, padding):
    for b in range(starts.size - 1):
        into = y[b * columns : (b + 1) * columns]
        places = best[b * columns : (b + 1) * columns]
        for i in range(starts[b], starts[b + 1]):
            if index[i] != padding:
                row = weight[index[i] * columns : (index[i] + 1) * columns]
                for c in range(columns):
                    if places[c] < 0 or row[c] > into[c]:
                        into[c] = row[c]
                        places[c] = index[i]


@kernel("Ak>An")
def _bag_max_vjp(g, best, w_bar, columns):
    for k in range(g.size):
        if best[k] >= 0:
            w_bar[best[k] * columns + k % columns] += g[k]
