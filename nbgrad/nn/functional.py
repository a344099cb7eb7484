"""The functions behind the layers, under PyTorch's names: `import nbgrad.nn.functional as F`."""

from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.dtypes import int64
from nbgrad.errors import DtypeError
from nbgrad.ops.activation import elu, gelu, leaky_relu, relu, silu, softplus
from nbgrad.ops.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
)
from nbgrad.ops.attention import scaled_dot_product_attention
from nbgrad.ops.batch_norm import batch_norm
from nbgrad.ops.bias_activation import bias_activation
from nbgrad.ops.conv import conv1d, conv_transpose1d, conv_transpose2d
from nbgrad.ops.conv2d import conv2d
from nbgrad.ops.cross_entropy import cross_entropy, nll_loss
from nbgrad.ops.distance import cosine_similarity, pairwise_distance
from nbgrad.ops.divergence import gaussian_nll_loss, kl_div, poisson_nll_loss
from nbgrad.ops.dropout import dropout, dropout2d
from nbgrad.ops.embedding import embedding
from nbgrad.ops.embedding_bag import embedding_bag
from nbgrad.ops.hard_activation import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    relu6,
    softshrink,
    threshold,
)
from nbgrad.ops.interpolate import interpolate
from nbgrad.ops.layer_norm import group_norm, layer_norm, rms_norm
from nbgrad.ops.linear import linear
from nbgrad.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from nbgrad.ops.margin_losses import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from nbgrad.ops.pad import pad
from nbgrad.ops.pointwise import sigmoid, tanh
from nbgrad.ops.pool import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from nbgrad.ops.reduce import norm
from nbgrad.ops.soft_activation import (
    celu,
    glu,
    gumbel_softmax,
    logsigmoid,
    mish,
    prelu,
    rrelu,
    selu,
    softmin,
    softsign,
    tanhshrink,
)
from nbgrad.ops.softmax import log_softmax, softmax
from nbgrad.ops.unfold import fold, unfold

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bias_activation",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout2d",
    "elu",
    "embedding",
    "embedding_bag",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
]


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the place that each integer names, else 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.one_hot(nb.tensor([1, 0]), 3)
    tensor([[0, 1, 0],
            [1, 0, 0]])
    """
    labels = tensor.array
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"one_hot is only applicable to index tensors, got {labels.dtype}")
    classes = int(labels.max(initial=-1)) + 1 if num_classes == -1 else num_classes
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise IndexError(
            f"one_hot: Class values must be between 0 and {classes - 1}, got {labels.min()} to {labels.max()}"
        )
    return Tensor(np.eye(classes, dtype=int64)[labels])


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Divide by the norm along a dimension, at least `eps`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.normalize(nb.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    length: Any = norm(input, p, dim, True)
    return input / length.clamp(min=eps)
