import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import ShapeError

SHAPES = [(5, 3), (2, 3, 4), (2, 3, 4, 2), (3, 1, 1, 1)]


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def expected(x, mean, variance, weight, bias, eps):
    form = (1, -1) + (1,) * (x.ndim - 2)
    y = (x - mean.reshape(form)) / np.sqrt(variance.reshape(form) + eps)
    return y * weight.reshape(form) + bias.reshape(form)


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 1000))
def test_training(shape, seed):
    x, c = draw(shape, seed), shape[1]
    w, b = draw(c, 1), draw(c, 2)
    axes = (0, *range(2, x.ndim))
    mean, var = nb.zeros(c, dtype=nb.float64), nb.ones(c, dtype=nb.float64)
    y = F.batch_norm(nb.Tensor(x), mean, var, nb.Tensor(w), nb.Tensor(b), True, 0.3, 1e-3)
    np.testing.assert_allclose(
        y.array, expected(x, x.mean(axes), x.var(axes), w, b, 1e-3), atol=1e-10
    )
    n = x.size // c
    np.testing.assert_allclose(mean.array, 0.3 * x.mean(axes), atol=1e-12)
    np.testing.assert_allclose(
        var.array, 0.7 + 0.3 * x.var(axes) * n / (n - 1) if n > 1 else 1, atol=1e-12
    )
    for parts in ((w, b), (), (w,)):
        assert check_vjp(
            lambda x, *p: F.batch_norm(x, None, None, *p, training=True, eps=1e-2), x, *parts
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation(shape):
    x, c = draw(shape), shape[1]
    w, b, mean, var = draw(c, 1), draw(c, 2), draw(c, 3), draw(c, 4) ** 2
    running = nb.Tensor(mean), nb.Tensor(var)
    y = F.batch_norm(nb.Tensor(x), *running, nb.Tensor(w), nb.Tensor(b))
    np.testing.assert_allclose(y.array, expected(x, mean, var, w, b, 1e-5), atol=1e-10)
    assert running[0].array is mean
    assert check_vjp(lambda x, w, b: F.batch_norm(x, *running, w, b), x, w, b)
    assert check_vjp(lambda x: F.batch_norm(x, *running), x)


def test_float32_stays():
    x = nb.randn(64, 3, 5)
    y = F.batch_norm(x.requires_grad_(), None, None, nb.ones(3), nb.zeros(3), True)
    (y * y).sum().backward()
    assert y.dtype == x.grad.dtype == nb.float32
    assert abs(y.array.mean()) < 1e-6
    assert abs(y.array.std() - 1) < 1e-4


def test_what_does_not_fit():
    x = nb.ones(2, 3)
    with pytest.raises(ShapeError, match="2 dimensions or more"):
        F.batch_norm(nb.ones(3), None, None, training=True)
    with pytest.raises(ShapeError, match="weight should contain 3 elements"):
        F.batch_norm(x, None, None, nb.ones(2), training=True)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        F.batch_norm(nb.ones(1, 3), None, None, training=True)
    with pytest.raises(ValueError, match="running_mean"):
        F.batch_norm(x, None, None)
