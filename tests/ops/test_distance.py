import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError
from tests.arrays import arrays


@given(x=arrays((3, 4)), y=arrays((3, 4)))
def test_distances(x, y):
    a, b = nb.Tensor(x), nb.Tensor(y)
    for p in (1.0, 2.0, 3.0):
        np.testing.assert_allclose(
            F.pairwise_distance(a, b, p).array, np.linalg.norm(x - y + 1e-6, p, 1)
        )
        apart = np.linalg.norm(x[:, None] - y[None, :2], p, 2)
        np.testing.assert_allclose(nb.cdist(a, b[:2], p).array, apart)
    cosine = (x * y).sum(1) / np.linalg.norm(x, 2, 1) / np.linalg.norm(y, 2, 1)
    np.testing.assert_allclose(F.cosine_similarity(a, b).array, cosine)
    np.testing.assert_allclose(F.cosine_similarity(a, b[0], -1).shape, (3,))


def test_vectors_of_length_zero():
    zero = nb.zeros(1, 2, requires_grad=True)
    F.cosine_similarity(zero, nb.ones(1, 2)).backward()
    assert np.isfinite(zero.grad.array).all()
    with pytest.raises(ShapeError, match="same number of columns"):
        nb.cdist(nb.ones(2, 3), nb.ones(2, 2))
