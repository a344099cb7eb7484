"""Losses that are 0 beyond a margin: of scores, of pairs, of triplets, of angles."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops.activation import relu, softplus
from nbgrad.ops.choose import where
from nbgrad.ops.cross_entropy import averaged, check_reduction
from nbgrad.ops.distance import cosine_similarity, pairwise_distance
from nbgrad.ops.extrema import minimum
from nbgrad.ops.index import gather
from nbgrad.ops.soft_activation import logsigmoid


def finished(losses: Any, reduction: str) -> Any:
    check_reduction(reduction)
    return averaged(losses, losses.numel(), reduction)


def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """max(0, -target (input1 - input2) + margin): target 1 says that the first should be larger, -1 the second.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.margin_ranking_loss(nb.ones(1), nb.zeros(1), nb.tensor([-1.0]), margin=1.0)
    tensor(2.)
    """
    return finished(relu(-target * (input1 - input2) + margin), reduction)


def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The distance itself for target 1; max(0, margin - distance) for target -1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.hinge_embedding_loss(nb.tensor([0.25, 0.25]), nb.tensor([1.0, -1.0]))
    tensor(0.5000)
    """
    zero = Tensor(np.zeros((), input.dtype))
    near = where(target != -1, input, zero)
    far = where(target != 1, relu(margin - input), zero)
    return finished(near + far, reduction)


def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """log(1 + exp(-target input)), for targets 1 and -1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.soft_margin_loss(nb.zeros(1), nb.ones(1))
    tensor(0.6931)
    """
    return finished(softplus(-target * input, 1.0, 1000.0), reduction)


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """1 - cos for target 1; max(0, cos - margin) for target -1; cos is that of the angle between two vectors.

    Parameters
    ----------
    input1, input2 : Tensor, shape (batch, d) or (d,)
        Vectors.
    target : Tensor, shape (batch,) or ()
        1 or -1.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([[1.0, 0.0]])
    >>> nb.nn.functional.cosine_embedding_loss(x, x, nb.tensor([1.0]))
    tensor(0.)
    """
    if target.ndim + 1 != input1.ndim or input1.ndim not in (1, 2):
        raise ShapeError(
            f"cosine_embedding_loss: {target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    cosine = cosine_similarity(input1, input2, -1)
    zero = Tensor(np.zeros((), input1.dtype))
    near = where(target == 1, 1 - cosine, zero)
    return finished(near + where(target == -1, relu(cosine - margin), zero), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm distance.

    Parameters
    ----------
    anchor, positive, negative : Tensor, shape (batch, d) or (d,)
        Vectors.
    margin : float
        By how much the negative should be farther away.
    p, eps : float
        As for `pairwise_distance`.
    swap : bool
        Take the distance of positive and negative where that is smaller.

    References
    ----------
    Balntas et al. 2016, Learning local feature descriptors with triplets and shallow convolutional neural networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> a = nb.zeros(1, 2)
    >>> nb.nn.functional.triplet_margin_loss(a, a, a + 5.0)
    tensor(0.)
    """
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin, swap=swap, reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """`triplet_margin_loss` with a distance of your own."""
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return finished(relu(near - far + margin), reduction)


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """Mean over the other classes of max(0, margin - score of the target + score)^p, per row.

    Parameters
    ----------
    input : Tensor, shape (batch, classes) or (classes,)
        Scores.
    target : Tensor of int64, shape (batch,) or ()
        Classes.
    p : {1, 2}
        Power.
    weight : Tensor, shape (classes,), optional
        Weight of each target's class.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.multi_margin_loss(nb.tensor([[0.0, 0.0]]), nb.tensor([1]))
    tensor(0.5000)
    """
    scores, classes = (
        (input, target) if input.ndim == 2 else (input.unsqueeze(0), target.reshape(1))
    )
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: only p == 1 and p == 2 supported, got {p}")
    place = classes.unsqueeze(1)
    short = relu(margin - gather(scores, 1, place) + scores)
    losses = short if p == 1 else short * short
    if weight is not None:
        losses = losses * weight[classes].unsqueeze(1)
    losses = losses.scatter(1, place, 0.0).sum(1) / scores.shape[1]
    return finished(losses if input.ndim == 2 else losses.reshape(()), reduction)


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """Mean over classes of the cross-entropies of yes-no scores and labels 0 or 1, per row.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.multilabel_soft_margin_loss(nb.zeros(1, 2), nb.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return finished(losses.mean(-1), reduction)
