import math

import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from tests.arrays import arrays


def phi(x):
    return np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))), otypes=[float])(x)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = [
    (F.relu, lambda x: np.maximum(x, 0), {}),
    (F.leaky_relu, lambda x: np.where(x > 0, x, 0.1 * x), {"negative_slope": 0.1}),
    (F.elu, lambda x: np.where(x > 0, x, 1.5 * np.expm1(x)), {"alpha": 1.5}),
    (F.gelu, lambda x: x * phi(x), {}),
    (F.gelu, gelu_tanh, {"approximate": "tanh"}),
    (F.silu, lambda x: x / (1 + np.exp(-x)), {}),
    (F.softplus, lambda x: np.log1p(np.exp(2.0 * x)) / 2.0, {"beta": 2.0}),
]


@pytest.mark.parametrize(("op", "reference", "options"), ACTIVATIONS)
@given(x=arrays(gap=0.1))
def test_forward_and_vjp(op, reference, options, x):
    y = op(nb.Tensor(x), **options)
    np.testing.assert_allclose(y.array, reference(x), rtol=1e-13, atol=1e-14)
    assert check_vjp(op, x, **options)


@pytest.mark.parametrize(("op", "reference", "options"), ACTIVATIONS)
def test_float32_stays_close_to_float64(op, reference, options):
    x = np.linspace(-6, 6, 1001).astype(np.float32)
    y = op(nb.Tensor(x), **options)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.array, reference(x.astype(np.float64)), rtol=1e-5, atol=2e-6)


def test_ends():
    x = nb.tensor([float("nan"), 0.0, -1e30], requires_grad=True)
    y = F.relu(x)
    assert math.isnan(y.tolist()[0])
    y.sum().backward()
    assert x.grad.tolist()[1:] == [0, 0]
    assert F.softplus(nb.tensor([100.0])).item() == 100.0
    assert F.relu(nb.tensor([-1, 2])).tolist() == [0, 2]
    with pytest.raises(ValueError, match="approximate"):
        F.gelu(nb.ones(1), approximate="half")
