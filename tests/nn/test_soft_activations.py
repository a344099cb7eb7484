import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn
from nbgrad.errors import ShapeError

X = nb.tensor([[-1.5, 0.5, 2.0, -0.2]])


@pytest.mark.parametrize(
    ("layer", "function", "text"),
    [
        (nn.SELU(), F.selu, "SELU()"),
        (nn.CELU(2.0), lambda x: F.celu(x, 2.0), "CELU(alpha=2.0)"),
        (nn.LogSigmoid(), F.logsigmoid, "LogSigmoid()"),
        (nn.Softsign(), F.softsign, "Softsign()"),
        (nn.Tanhshrink(), F.tanhshrink, "Tanhshrink()"),
        (nn.Mish(), F.mish, "Mish()"),
        (nn.GLU(1), lambda x: F.glu(x, 1), "GLU(dim=1)"),
        (nn.Softmin(dim=1), lambda x: F.softmin(x, 1), "Softmin(dim=1)"),
        (nn.PReLU(init=0.5), lambda x: F.leaky_relu(x, 0.5), "PReLU(num_parameters=1)"),
        (nn.RReLU(0.25, 0.25), lambda x: F.leaky_relu(x, 0.25), "RReLU(lower=0.25, upper=0.25)"),
    ],
    ids=repr,
)
def test_layers_are_the_functions(layer, function, text):
    np.testing.assert_allclose(layer(X).array, function(X).array)
    assert repr(layer) == text


def test_prelu_learns_one_weight_per_channel():
    layer = nn.PReLU(4)
    layer(X).sum().backward()
    assert layer.weight.grad.tolist() == np.minimum(X.array, 0)[0].tolist()


def test_rrelu_draws_in_training_only():
    layer = nn.RReLU(0.1, 0.9)
    assert not np.array_equal(layer(X).array, layer(X).array)
    layer.eval()
    np.testing.assert_allclose(layer(X).array, F.leaky_relu(X, 0.5).array)


def test_probabilities_of_channels():
    y = nn.Softmax2d()(nb.randn(2, 3, 4, 5))
    np.testing.assert_allclose(y.array.sum(1), 1, rtol=1e-6)
    with pytest.raises(ShapeError, match="3D or 4D"):
        nn.Softmax2d()(X)
