import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError
from tests.arrays import arrays

SIGNS = np.array([1.0, -1.0, 1.0])


def close(found, losses):
    np.testing.assert_allclose(found("none").array, losses, atol=1e-12)
    np.testing.assert_allclose(found("sum").item(), losses.sum(), atol=1e-12)
    np.testing.assert_allclose(found("mean").item(), losses.mean(), atol=1e-12)


@given(x=arrays((3,)), y=arrays((3,)))
def test_scores(x, y):
    a, b, t = nb.Tensor(x), nb.Tensor(y), nb.Tensor(SIGNS)
    close(
        lambda r: F.margin_ranking_loss(a, b, t, 0.5, reduction=r),
        np.maximum(0, -SIGNS * (x - y) + 0.5),
    )
    close(
        lambda r: F.hinge_embedding_loss(a, t, 0.7, reduction=r),
        np.where(SIGNS == 1, x, np.maximum(0, 0.7 - x)),
    )
    close(lambda r: F.soft_margin_loss(a, t, reduction=r), np.log1p(np.exp(-SIGNS * x)))


@given(x=arrays((3, 2)), y=arrays((3, 2)), z=arrays((3, 2)))
def test_vectors(x, y, z):
    a, b, c = nb.Tensor(x), nb.Tensor(y), nb.Tensor(z)
    cosine = (x * y).sum(1) / np.linalg.norm(x, 2, 1) / np.linalg.norm(y, 2, 1)
    close(
        lambda r: F.cosine_embedding_loss(a, b, nb.Tensor(SIGNS), 0.1, reduction=r),
        np.where(SIGNS == 1, 1 - cosine, np.maximum(0, cosine - 0.1)),
    )
    near, far, across = (np.linalg.norm(p - q + 1e-6, 2, 1) for p, q in ((x, y), (x, z), (y, z)))
    close(lambda r: F.triplet_margin_loss(a, b, c, reduction=r), np.maximum(near - far + 1, 0))
    close(
        lambda r: F.triplet_margin_loss(a, b, c, swap=True, reduction=r),
        np.maximum(near - np.minimum(far, across) + 1, 0),
    )
    squares = lambda p, q: ((p - q) ** 2).sum(-1)  # noqa: E731
    close(
        lambda r: F.triplet_margin_with_distance_loss(a, b, c, distance_function=squares, margin=2, reduction=r),
        np.maximum(squares(x, y) - squares(x, z) + 2, 0),
    )  # fmt: skip


@given(x=arrays((2, 3)), t=arrays((2, 3), low=0, high=1))
def test_classes(x, t):
    classes = np.array([2, 0])
    for p in (1, 2):
        short = np.maximum(0, 1 - x[[0, 1], classes][:, None] + x) ** p
        short[[0, 1], classes] = 0
        weights = np.array([1.0, 2.0, 3.0])
        close(lambda r, p=p: F.multi_margin_loss(nb.Tensor(x), nb.Tensor(classes), p, reduction=r), short.sum(1) / 3)  # fmt: skip
        weighted = F.multi_margin_loss(nb.Tensor(x), nb.Tensor(classes), p, weight=nb.Tensor(weights))  # fmt: skip
        np.testing.assert_allclose(weighted.item(), (short * weights[classes][:, None]).sum() / 6)
    p = 1 / (1 + np.exp(-x))
    losses = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(1)
    close(lambda r: F.multilabel_soft_margin_loss(nb.Tensor(x), nb.Tensor(t), reduction=r), losses)


def test_a_single_row_and_mistakes():
    assert F.multi_margin_loss(nb.zeros(2), nb.tensor(1)).shape == ()
    with pytest.raises(ValueError, match="only p == 1"):
        F.multi_margin_loss(nb.zeros(2), nb.tensor(1), p=3)
    with pytest.raises(ShapeError, match="expects 2D input"):
        F.cosine_embedding_loss(nb.ones(2), nb.ones(2), nb.ones(1))
    with pytest.raises(ValueError, match="reduction"):
        F.soft_margin_loss(nb.ones(1), nb.ones(1), reduction="all")
