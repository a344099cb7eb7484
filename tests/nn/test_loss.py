import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn

X, T = nb.tensor([[0.5, -1.0], [2.0, 0.25]]), nb.tensor([[0.0, 1.0], [1.0, 0.5]])
CLASSES = nb.tensor([1, 0])
WEIGHT = nb.tensor([0.5, 2.0])


@pytest.mark.parametrize(
    ("layer", "function", "target"),
    [
        (nn.CrossEntropyLoss(WEIGHT), lambda x, t: F.cross_entropy(x, t, WEIGHT), CLASSES),
        (nn.CrossEntropyLoss(reduction="sum"), lambda x, t: F.cross_entropy(x, t, reduction="sum"), CLASSES),
        (nn.NLLLoss(), F.nll_loss, CLASSES),
        (nn.MSELoss(), F.mse_loss, T),
        (nn.L1Loss(reduction="sum"), lambda x, t: F.l1_loss(x, t, "sum"), T),
        (nn.HuberLoss(delta=0.5), lambda x, t: F.huber_loss(x, t, delta=0.5), T),
        (nn.SmoothL1Loss(beta=0.5), lambda x, t: F.smooth_l1_loss(x, t, beta=0.5), T),
        (nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits, T),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_layers_are_the_functions(layer, function, target):
    np.testing.assert_array_equal(layer(X, target).array, function(X, target).array)


def test_more():
    p = nb.sigmoid(X)
    assert nn.BCELoss()(p, T).item() == pytest.approx(nn.BCEWithLogitsLoss()(X, T).item(), rel=1e-6)
    assert "weight" in nn.CrossEntropyLoss(WEIGHT).state_dict()
    with pytest.raises(ValueError, match="reduction"):
        nn.MSELoss(reduction="average")
