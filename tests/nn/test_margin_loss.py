import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn

RNG = np.random.default_rng(0)
X, Y, Z = (nb.Tensor(RNG.standard_normal((2, 3))) for _ in range(3))
P = nb.Tensor(RNG.uniform(0.1, 0.9, (2, 3)))
S, C = nb.Tensor(np.array([1.0, -1.0])), nb.tensor([2, 0])
ONE = X[:, 0]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("layer", "function", "inputs", "options"),
    [
        (nn.KLDivLoss, F.kl_div, (X, P), {"log_target": True}),
        (nn.PoissonNLLLoss, F.poisson_nll_loss, (X, P), {"full": True}),
        (nn.GaussianNLLLoss, F.gaussian_nll_loss, (X, Y, P), {"full": True}),
        (nn.MarginRankingLoss, F.margin_ranking_loss, (ONE, Y[:, 1], S), {"margin": 0.5}),
        (nn.HingeEmbeddingLoss, F.hinge_embedding_loss, (ONE, S), {"margin": 2.0}),
        (nn.CosineEmbeddingLoss, F.cosine_embedding_loss, (X, Y, S), {"margin": -0.5}),
        (nn.SoftMarginLoss, F.soft_margin_loss, (ONE, S), {}),
        (nn.TripletMarginLoss, F.triplet_margin_loss, (X, Y, Z), {"p": 1.0, "swap": True}),
        (nn.TripletMarginWithDistanceLoss, F.triplet_margin_with_distance_loss, (X, Y, Z), {"margin": 3.0}),
        (nn.MultiMarginLoss, F.multi_margin_loss, (X, C), {"p": 2, "weight": P[0]}),
        (nn.MultiLabelSoftMarginLoss, F.multilabel_soft_margin_loss, (X, P), {"weight": P[0]}),
    ],
)  # fmt: skip
def test_layers_are_the_functions(layer, function, inputs, options, reduction):
    y = layer(reduction=reduction, **options)(*inputs)
    expected = function(*inputs, reduction=reduction, **options)
    np.testing.assert_array_equal(y.array, expected.array)


def test_defaults():
    assert nn.HingeEmbeddingLoss().margin == 1.0
    assert nn.KLDivLoss(reduction="batchmean")(X, P).item() == F.kl_div(X, P, reduction="batchmean").item()  # fmt: skip
    with pytest.raises(ValueError, match="reduction"):
        nn.KLDivLoss(reduction="all")


def test_distances():
    np.testing.assert_array_equal(nn.CosineSimilarity()(X, Y).array, F.cosine_similarity(X, Y).array)  # fmt: skip
    np.testing.assert_array_equal(
        nn.PairwiseDistance(1.0, keepdim=True)(X, Y).array,
        F.pairwise_distance(X, Y, 1.0, keepdim=True).array,
    )
