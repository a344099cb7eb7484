import numpy as np
import pytest

import nbgrad as nb
from nbgrad import linalg
from nbgrad.errors import ShapeError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)])
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_q_and_r_make_the_matrix(rng, shape, mode):
    a = rng.standard_normal(shape)
    q, r = linalg.qr(nb.Tensor(a), mode)
    np.testing.assert_allclose((q @ r).array, a, atol=1e-12)
    np.testing.assert_allclose(
        (q.mT @ q).array,
        np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], *[q.shape[-1]] * 2)),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        linalg.qr(nb.Tensor(a), "r").R.array, np.linalg.qr(a, "r"), atol=1e-12
    )


def test_other_modes_have_no_gradient():
    with pytest.raises(ShapeError, match="no gradient"):
        linalg.qr(nb.ones(3, 2, requires_grad=True), "complete")
    with pytest.raises(ValueError, match="mode must be"):
        linalg.qr(nb.ones(3, 2), "full")
    with pytest.raises(ShapeError, match="must be a matrix"):
        linalg.qr(nb.ones(3))


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3, 2)])
def test_pinv_is_numpys(rng, shape):
    a = rng.standard_normal(shape)
    np.testing.assert_allclose(linalg.pinv(nb.Tensor(a)).array, np.linalg.pinv(a), atol=1e-12)


def test_pinv_leaves_small_values_out():
    a = nb.Tensor(np.diag([1.0, 1e-3]))
    assert linalg.pinv(a, 1e-2).tolist() == [[1, 0], [0, 0]]


def test_lstsq_is_numpys(rng):
    a, b = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    wanted = np.linalg.lstsq(a, b)
    found = linalg.lstsq(nb.Tensor(a), nb.Tensor(b))
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x.array, y, atol=1e-12)
    under = linalg.lstsq(nb.Tensor(a.T.copy()), nb.Tensor(b[:3].copy()))
    assert under.residuals.shape == (0,)
    with pytest.raises(ShapeError, match="B must be a matrix"):
        linalg.lstsq(nb.Tensor(a), nb.Tensor(b[:, 0].copy()))
