import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_vjp
from tests.arrays import arrays

UNARY = [  # op, NumPy's form, lowest and highest value, distance from the kink
    (nb.neg, np.negative, -2, 2, 0),
    (nb.abs, np.abs, -2, 2, 0.1),
    (nb.exp, np.exp, -2, 2, 0),
    (nb.log, np.log, 0.5, 3, 0),
    (nb.log1p, np.log1p, -0.5, 3, 0),
    (nb.sqrt, np.sqrt, 0.5, 3, 0),
    (nb.rsqrt, lambda x: 1 / np.sqrt(x), 0.5, 3, 0),
    (nb.reciprocal, lambda x: 1 / x, 0.5, 3, 0),
    (nb.sin, np.sin, -2, 2, 0),
    (nb.cos, np.cos, -2, 2, 0),
    (nb.tanh, np.tanh, -2, 2, 0),
    (nb.sigmoid, lambda x: 1 / (1 + np.exp(-x)), -2, 2, 0),
]


@pytest.mark.parametrize(("op", "reference", "low", "high", "gap"), UNARY)
def test_forward_and_vjp(op, reference, low, high, gap):
    @given(x=arrays(low=low, high=high, gap=gap))
    def check(x):
        y = op(nb.Tensor(x))
        assert type(y.array) is np.ndarray
        np.testing.assert_allclose(y.array, reference(x), rtol=1e-14, atol=1e-15)
        assert check_vjp(op, x)

    check()


@pytest.mark.parametrize(("op", "reference", "low", "high", "gap"), UNARY)
def test_float32_stays_close_to_float64(op, reference, low, high, gap):
    x = np.random.default_rng(0).uniform(low, high, 100).astype(np.float32)
    t = nb.tensor(x, requires_grad=True)
    y = op(t)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.array, reference(x.astype(np.float64)), rtol=1e-6, atol=1e-6)
    y.sum().backward()
    wide = nb.tensor(x.astype(np.float64), requires_grad=True)
    op(wide).sum().backward()
    np.testing.assert_allclose(t.grad.array, wide.grad.array, rtol=1e-5, atol=1e-6)


def test_integers_become_floats():
    assert nb.exp(nb.tensor([0])).dtype == np.float32
    assert nb.sqrt(nb.tensor([4])).tolist() == [2]
    assert nb.neg(nb.tensor([4])).tolist() == [-4]


def test_outside_the_domain():
    assert nb.log(nb.tensor([0.0, -1.0])).tolist()[0] == -float("inf")
    assert nb.isnan(nb.sqrt(nb.tensor(-1.0)))


def test_casts_are_differentiable():
    x = nb.ones(2, requires_grad=True)
    y = x.double()
    assert y.dtype == np.float64
    (y * 3.0).sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3, 3]
    assert nb.tensor([1.7]).long().tolist() == [1]
    assert not x.long().requires_grad
