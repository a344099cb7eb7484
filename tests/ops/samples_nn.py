"""Samples of losses and layers."""

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from tests.ops.sampling import sample

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
            lambda m, n=name, r=r: (lambda x: getattr(F, n)(x, nb.tensor([1, 0, 2]), reduction=r), m(3, 4))
        )  # fmt: skip
        sample(name)(
            lambda m, n=name, r=r: (lambda x: getattr(F, n)(x, nb.tensor([[1, 0], [2, -100]]), reduction=r), m(2, 4, 2))
        )  # fmt: skip
sample("cross_entropy")(
    lambda m: (lambda x: F.cross_entropy(x, nb.tensor([1, 0]), label_smoothing=0.1), m(2, 3))
)
sample("cross_entropy")(lambda m: (F.cross_entropy, m(2, 3), m.positive(2, 3)))

# ---------------------------------------------------------------- layers

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
sample("embedding")(lambda m: (lambda w: F.embedding(nb.tensor([1, 0, 1]), w), m(3, 2)))
for mode in ("sum", "mean", "max"):
    sample("embedding_bag")(
        lambda m, mode=mode: (
            lambda w: F.embedding_bag(nb.tensor([1, 0, 2]), w, nb.tensor([0, 2]), mode=mode), m(3, 2))
    )  # fmt: skip
sample("embedding_bag")(
    lambda m: (
        lambda w, s: F.embedding_bag(nb.tensor([1, 0, 2]), w, nb.tensor([0, 2]), mode="sum", per_sample_weights=s),
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
