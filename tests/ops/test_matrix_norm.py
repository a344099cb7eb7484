import numpy as np
import pytest

import nbgrad as nb
from nbgrad import linalg
from nbgrad.errors import ShapeError

RNG = np.random.default_rng(0)
INF = float("inf")


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, INF, -INF])
def test_norms_of_matrices(ord, keepdim):
    a = RNG.standard_normal((2, 3, 4))
    found = linalg.norm(nb.Tensor(a), ord, (2, 1), keepdim)
    np.testing.assert_allclose(found.array, np.linalg.norm(a, ord, (2, 1), keepdim))
    if ord is not None:
        np.testing.assert_allclose(
            linalg.matrix_norm(nb.Tensor(a), ord).array, np.linalg.norm(a, ord, (1, 2))
        )
        np.testing.assert_allclose(linalg.norm(nb.Tensor(a[0]), ord).array, np.linalg.norm(a[0], ord))  # fmt: skip


@pytest.mark.parametrize("ord", [0, 1, 2, 3.5, INF, -INF])
def test_norms_of_vectors(ord):
    a = RNG.standard_normal((2, 3))
    a[0, 1] = 0
    found = linalg.vector_norm(nb.Tensor(a), ord, 1)
    np.testing.assert_allclose(found.array, np.linalg.norm(a, ord, 1))
    np.testing.assert_allclose(linalg.norm(nb.Tensor(a), ord, 1).array, found.array)
    assert linalg.norm(nb.Tensor(a)).item() == pytest.approx(np.linalg.norm(a))


def test_mistakes():
    with pytest.raises(ValueError, match="Order 3 not supported"):
        linalg.matrix_norm(nb.eye(2), 3)
    with pytest.raises(ShapeError, match="must be 1D or 2D"):
        linalg.norm(nb.ones(2, 2, 2), 1)
