import numpy as np
import pytest

import nbgrad as nb
from nbgrad import linalg
from nbgrad.errors import NonFiniteError, ShapeError

RNG = np.random.default_rng(0)


def test_cholesky():
    a = RNG.standard_normal((2, 3, 3))
    a = a @ a.mT + np.eye(3)
    low, high = linalg.cholesky(nb.Tensor(a)), linalg.cholesky(nb.Tensor(a), upper=True)
    np.testing.assert_allclose((low @ low.mT).array, a)
    np.testing.assert_allclose(high.array, low.array.mT)
    with pytest.raises(np.linalg.LinAlgError):
        linalg.cholesky(nb.eye(2) * -1)


def test_eigh():
    a = RNG.standard_normal((2, 3, 3))
    w, v = linalg.eigh(nb.Tensor(a + a.mT))
    np.testing.assert_allclose((a + a.mT) @ v.array, v.array * w.array[:, None, :], atol=1e-12)
    np.testing.assert_allclose(linalg.eigvalsh(nb.Tensor(a)).array, np.linalg.eigvalsh(a))
    np.testing.assert_allclose(linalg.eigvalsh(nb.Tensor(a), "U").array, np.linalg.eigvalsh(a.mT))
    with pytest.raises(ValueError, match="UPLO"):
        linalg.eigh(nb.eye(2), "X")


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2), (3, 1), (2, 0)])
def test_svd(shape):
    a = RNG.standard_normal(shape)
    u, s, vh = linalg.svd(nb.Tensor(a), full_matrices=False)
    np.testing.assert_allclose((u.array * s.array[..., None, :]) @ vh.array, a, atol=1e-12)
    u, s, vh = linalg.svd(nb.Tensor(a))
    assert (u.shape[-1], vh.shape[-1]) == shape[-2:]
    np.testing.assert_allclose(linalg.svdvals(nb.Tensor(a)).array, s.array)


def test_equal_values_have_a_gradient_but_no_vectors():
    x = nb.eye(2, dtype=nb.float64).requires_grad_()
    linalg.eigh(x)[0].sum().backward()
    assert x.grad.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(NonFiniteError, match="two values are equal"):
        linalg.eigh(x)[1].sum().backward()
    with pytest.raises(NonFiniteError, match="two values are equal"):
        linalg.svd(x)[0].sum().backward()


def test_additional_vectors_have_no_gradient():
    with pytest.raises(ShapeError, match="full_matrices"):
        linalg.svd(nb.ones(2, 3, requires_grad=True))
    with pytest.raises(ShapeError, match="a matrix or a batch"):
        linalg.svd(nb.ones(2))
