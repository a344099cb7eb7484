"""Samples of losses and layers."""

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from tests.ops.sampling import fixed, sample

# ---------------------------------------------------------------- losses

REDUCTIONS = ("mean", "sum", "none")
for r in REDUCTIONS:
    for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
        sample(name)(
            lambda m, n=name, r=r: (lambda x, y: getattr(F, n)(x, y, reduction=r), m(2, 3), m(2, 3))
        )
    sample("binary_cross_entropy_with_logits")(
        lambda m, r=r: (lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=r), m(2, 3), m.inside(2, 3))
    )  # fmt: skip
    sample("binary_cross_entropy")(
        lambda m, r=r: (lambda x, t: F.binary_cross_entropy(x, t, reduction=r), m.inside(2, 3), m.inside(2, 3))
    )  # fmt: skip
    for name in ("cross_entropy", "nll_loss"):
        sample(name)(
            lambda m, n=name, r=r: (lambda x: getattr(F, n)(x, fixed([1, 0, 2]), reduction=r), m(3, 4))
        )  # fmt: skip
        sample(name)(
            lambda m, n=name, r=r: (lambda x: getattr(F, n)(x, fixed([[1, 0], [2, -100]]), reduction=r), m(2, 4, 2))
        )  # fmt: skip
sample("cross_entropy")(
    lambda m: (lambda x: F.cross_entropy(x, fixed([1, 0]), label_smoothing=0.1), m(2, 3))
)
sample("cross_entropy")(lambda m: (F.cross_entropy, m(2, 3), m.positive(2, 3)))

for r in (*REDUCTIONS, "batchmean"):
    sample("kl_div")(
        lambda m, r=r: (lambda x, t: F.kl_div(x, t, reduction=r), m(2, 3), m.inside(2, 3))
    )
for r in REDUCTIONS:
    sample("poisson_nll_loss")(
        lambda m, r=r: (lambda x, t: F.poisson_nll_loss(x, t, reduction=r), m(2, 3), m(2, 3))
    )
    sample("gaussian_nll_loss")(
        lambda m, r=r: (lambda *a: F.gaussian_nll_loss(*a, reduction=r), m(2, 3), m(2, 3), m.positive(2, 3))
    )  # fmt: skip
    sample("multi_margin_loss")(
        lambda m, r=r: (lambda x: F.multi_margin_loss(x, fixed([1, 0]), margin=0.55, reduction=r), m(2, 3))
    )  # fmt: skip
    sample("soft_margin_loss")(
        lambda m, r=r: (lambda x: F.soft_margin_loss(x, fixed([1.0, -1.0]), reduction=r), m(3, 2))
    )  # fmt: skip
    sample("triplet_margin_loss")(
        lambda m, r=r: (lambda *a: F.triplet_margin_loss(*a, reduction=r, swap=True), m(3, 4), m(3, 4), m(3, 4))
    )  # fmt: skip
SIGNS = nb.tensor([1.0, -1.0, 1.0])
sample("kl_div")(lambda m: (lambda x, t: F.kl_div(x, t, log_target=True), m(2, 3), m(2, 3)))
sample("poisson_nll_loss")(
    lambda m: (lambda x, t: F.poisson_nll_loss(x, t, False, True), m.positive(3), m(3, low=1.5, high=3))
)  # fmt: skip
sample("gaussian_nll_loss")(
    lambda m: (lambda *a: F.gaussian_nll_loss(*a, full=True), m(2, 3), m(2, 3), m.positive(2))
)
sample("margin_ranking_loss")(
    lambda m: (lambda x, y: F.margin_ranking_loss(x, y, SIGNS, margin=0.5), m(3), m(3))
)
sample("hinge_embedding_loss")(lambda m: (lambda x: F.hinge_embedding_loss(x, SIGNS), m.inside(3)))
sample("cosine_embedding_loss")(
    lambda m: (lambda x, y: F.cosine_embedding_loss(x, y, SIGNS, margin=-0.9), m(3, 2), m(3, 2))
)
sample("triplet_margin_with_distance_loss")(
    lambda m: (lambda *a: F.triplet_margin_with_distance_loss(*a, margin=9.0), m(3, 4), m(3, 4), m(3, 4))
)  # fmt: skip
sample("multilabel_soft_margin_loss")(
    lambda m: (F.multilabel_soft_margin_loss, m(2, 3), m.inside(2, 3))
)
sample("pairwise_distance")(lambda m: (F.pairwise_distance, m(2, 3), m(2, 3)))
sample("cosine_similarity")(lambda m: (F.cosine_similarity, m(2, 3), m(2, 3)))
sample("cdist")(lambda m: (nb.cdist, m(2, 3), m(4, 3)))

# ---------------------------------------------------------------- layers

sample("pad")(lambda m: (lambda x: F.pad(x, (1, 2, -1, 1), value=3.0), m(2, 3, 2)))
sample("pad")(lambda m: (lambda x: F.pad(x, (-1, -1)), m(2, 3)))
for mode in ("reflect", "replicate", "circular"):
    sample("pad")(lambda m, mode=mode: (lambda x: F.pad(x, (1, 2, 1, 0), mode), m(2, 3, 4)))
sample("conv1d")(lambda m: (F.conv1d, m(2, 2, 5), m(3, 2, 2), m(3)))
sample("conv1d")(lambda m: (lambda x, w: F.conv1d(x, w, None, 2, 1, 2, 2), m(2, 4, 6), m(2, 2, 2)))
sample("conv1d")(lambda m: (lambda x, w: F.conv1d(x, w, padding="same"), m(2, 5), m(3, 2, 3)))
sample("conv_transpose2d")(lambda m: (F.conv_transpose2d, m(2, 2, 3, 2), m(2, 3, 2, 3), m(3)))
sample("conv_transpose2d")(
    lambda m: (lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1, 2, 2), m(4, 3, 2), m(4, 1, 3, 2))
)  # fmt: skip
sample("conv_transpose1d")(
    lambda m: (lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1), m(2, 2, 3), m(2, 3, 3), m(3))
)
sample("unfold")(lambda m: (lambda x: F.unfold(x, (2, 3), 1, 1, 2), m(2, 2, 4, 4)))
sample("unfold")(lambda m: (lambda x: F.unfold(x, 1), m(2, 3, 4)))
sample("unfold")(lambda m: (lambda x: x.unfold(1, 2, 2), m(2, 5, 2)))
sample("fold")(lambda m: (lambda x: F.fold(x, (3, 4), 2), m(2, 8, 6)))
sample("max_pool1d")(lambda m: (lambda x: F.max_pool1d(x, 3, 2, 1), m(2, 2, 5)))
sample("avg_pool1d")(lambda m: (lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), m(2, 2, 6)))
sample("max_pool2d")(lambda m: (lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True), m(2, 3, 5)))
sample("avg_pool2d")(lambda m: (lambda x: F.avg_pool2d(x, 3, 2, 1, True), m(2, 4, 6)))
sample("adaptive_avg_pool2d")(lambda m: (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), m(2, 3, 5)))
sample("adaptive_max_pool2d")(lambda m: (lambda x: F.adaptive_max_pool2d(x, (2, 3)), m(2, 3, 5)))
sample("adaptive_avg_pool1d")(lambda m: (lambda x: F.adaptive_avg_pool1d(x, 2), m(1, 2, 3)))
sample("adaptive_max_pool1d")(lambda m: (lambda x: F.adaptive_max_pool1d(x, 2), m(1, 2, 3)))
SIZES = {"nearest": (3,), "nearest-exact": (3,), "area": (3,), "linear": (3,)}
SIZES |= {"bilinear": (3, 2), "bicubic": (3, 2), "trilinear": (2, 3, 2)}
for mode, shape in SIZES.items():
    sample("interpolate")(
        lambda m, mode=mode, shape=shape: (lambda x: F.interpolate(x, scale_factor=1.7, mode=mode), m(2, 1, *shape))
    )  # fmt: skip

sample("conv2d")(lambda m: (F.conv2d, m(2, 2, 5, 4), m(3, 2, 3, 2), m(3)))
sample("conv2d")(
    lambda m: (
        lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2),
        m(1, 2, 5, 4),
        m(4, 1, 3, 2),
    )
)
sample("conv2d")(lambda m: (F.conv2d, m(2, 5, 4), m(3, 2, 1, 1), m(3)))
sample("max_pool2d")(lambda m: (lambda x: F.max_pool2d(x, 2, 1, 1), m(2, 2, 3, 4)))
sample("avg_pool2d")(lambda m: (lambda x: F.avg_pool2d(x, 2, 1, 1), m(2, 2, 3, 4)))
sample("avg_pool2d")(
    lambda m: (lambda x: F.avg_pool2d(x, 2, 2, 1, count_include_pad=False), m(1, 2, 5, 4))
)
sample("adaptive_avg_pool2d")(lambda m: (lambda x: F.adaptive_avg_pool2d(x, 2), m(1, 2, 4, 4)))
sample("adaptive_max_pool2d")(lambda m: (lambda x: F.adaptive_max_pool2d(x, 2), m(1, 2, 4, 4)))
sample("embedding")(lambda m: (lambda w: F.embedding(fixed([1, 0, 1]), w), m(3, 2)))
for mode in ("sum", "mean", "max"):
    sample("embedding_bag")(
        lambda m, mode=mode: (
            lambda w: F.embedding_bag(fixed([1, 0, 2]), w, fixed([0, 2]), mode=mode), m(3, 2))
    )  # fmt: skip
sample("embedding_bag")(
    lambda m: (
        lambda w, s: F.embedding_bag(fixed([1, 0, 2]), w, fixed([0, 2]), mode="sum", per_sample_weights=s),
        m(3, 2), m(3))
)  # fmt: skip
for training in (False, True):

    @sample("batch_norm")
    def _(m, training=training):
        means, variances = nb.Tensor(m(3)), nb.Tensor(m.positive(3))
        function = lambda x, w, b: F.batch_norm(x, means.clone(), variances.clone(), w, b, training)  # noqa: E731
        return function, m(4, 3, 2), m(3), m(3)


sample("batch_norm")(lambda m: (lambda x: F.batch_norm(x, None, None, training=True), m(4, 3)))
sample("layer_norm")(
    lambda m: (lambda x, w, b: F.layer_norm(x, (3, 2), w, b), m(4, 3, 2), m(3, 2), m(3, 2))
)
sample("layer_norm")(lambda m: (lambda x: F.layer_norm(x, 4), m(3, 4)))
sample("rms_norm")(lambda m: (lambda x, w: F.rms_norm(x, 4, w), m(3, 4), m(4)))
sample("group_norm")(lambda m: (lambda x, w, b: F.group_norm(x, 2, w, b), m(2, 4, 3), m(4), m(4)))
sample("bias_activation")(lambda m: (F.bias_activation, m(2, 3), m(3)))
sample("bias_activation")(lambda m: (lambda x, b: F.bias_activation(x, b, "gelu"), m(2, 3), m(3)))
sample("normalize")(lambda m: (F.normalize, m(2, 3)))
sample("scaled_dot_product_attention")(
    lambda m: (F.scaled_dot_product_attention, m(2, 3, 4), m(2, 5, 4), m(2, 5, 2))
)
sample("scaled_dot_product_attention")(
    lambda m: (lambda *a: F.scaled_dot_product_attention(*a, is_causal=True), m(3, 2), m(3, 2), m(3, 2))
)  # fmt: skip


def seeded(function):
    """A function that draws the same numbers at every call."""

    def call(x):
        nb.manual_seed(0)
        return function(x)

    return call


sample("dropout")(lambda m: (seeded(F.dropout), m(3, 4)))
sample("dropout2d")(lambda m: (seeded(F.dropout2d), m(2, 3, 2, 2)))
sample("gumbel_softmax")(lambda m: (seeded(F.gumbel_softmax), m(3, 4)))
