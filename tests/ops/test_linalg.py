import itertools

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import linalg
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1), (0, 2, 2), (2, 0, 0)])
def test_numpy_gives_the_same(shape):
    a = RNG.standard_normal(shape)
    x = nb.Tensor(a)
    np.testing.assert_allclose(linalg.inv(x).array, np.linalg.inv(a))
    np.testing.assert_allclose(linalg.det(x).array, np.linalg.det(a))
    for found, expected in zip(linalg.slogdet(x), np.linalg.slogdet(a)):
        np.testing.assert_allclose(found.array, expected)
    for n in (0, 1, 5, -2):
        np.testing.assert_allclose(
            linalg.matrix_power(x, n).array, np.linalg.matrix_power(a, n), rtol=1e-6
        )


@pytest.mark.parametrize("right", [(3,), (3, 2), (4, 3, 2), (2, 3)])
def test_solve(right):
    a = RNG.standard_normal((2, 1, 3, 3) if len(right) == 3 else (2, 3, 3))
    b = RNG.standard_normal(right)
    x = linalg.solve(nb.Tensor(a), nb.Tensor(b)).array
    if right in ((3,), (2, 3)):
        np.testing.assert_allclose((a @ x[..., None])[..., 0], np.broadcast_to(b, x.shape))
    else:
        np.testing.assert_allclose(a @ x, np.broadcast_to(b, x.shape))


def test_determinants_of_singular_matrices_have_gradients():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    x = nb.tensor(a, requires_grad=True)
    linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.array, [[4, -2], [-2, 1]], atol=1e-12)
    zero = np.zeros((3, 3))
    assert check_vjp(linalg.det, zero)


def test_logdet_of_negative_determinants_is_nan():
    with np.errstate(invalid="ignore"):
        assert nb.isnan(nb.logdet(nb.tensor([[0.0, 1.0], [1.0, 0.0]])))


@pytest.mark.parametrize("sides", [(2, 3, 4), (5, 1, 7, 2, 3), (2, 3)])
def test_multi_dot(sides):
    chain = [RNG.standard_normal(pair) for pair in itertools.pairwise(sides)]
    if len(chain) > 1:
        y = linalg.multi_dot([nb.Tensor(x) for x in chain])
        np.testing.assert_allclose(y.array, np.linalg.multi_dot(chain))
    else:
        with pytest.raises(ShapeError, match="at least 2"):
            linalg.multi_dot([nb.Tensor(x) for x in chain])


def test_multi_dot_of_vectors():
    v, a = nb.tensor([1.0, 2.0]), nb.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert linalg.multi_dot([v, a, v]).item() == 27.0
    assert linalg.multi_dot([v, a]).shape == (2,)
    with pytest.raises(ShapeError, match="must be matrices"):
        linalg.multi_dot([a, nb.ones(2, 2, 2), a])


def test_mistakes():
    with pytest.raises(ShapeError, match="square"):
        linalg.inv(nb.ones(2, 3))
    with pytest.raises(ShapeError, match="Incompatible"):
        linalg.solve(nb.eye(2), nb.ones(3))
    with pytest.raises(np.linalg.LinAlgError):
        linalg.inv(nb.zeros(2, 2))
