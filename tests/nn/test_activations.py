import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn

X = nb.tensor([[-1.5, 0.5, 2.0]])


@pytest.mark.parametrize(
    ("layer", "function", "text"),
    [
        (nn.ReLU(), F.relu, "ReLU()"),
        (nn.ReLU(inplace=True), F.relu, "ReLU(inplace=True)"),
        (nn.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2), "LeakyReLU(negative_slope=0.2)"),
        (nn.ELU(2.0), lambda x: F.elu(x, 2.0), "ELU(alpha=2.0)"),
        (nn.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh"), "GELU(approximate='tanh')"),
        (nn.SiLU(), F.silu, "SiLU()"),
        (nn.Softplus(2.0), lambda x: F.softplus(x, 2.0), "Softplus(beta=2.0, threshold=20.0)"),
        (nn.Tanh(), F.tanh, "Tanh()"),
        (nn.Sigmoid(), F.sigmoid, "Sigmoid()"),
        (nn.Softmax(dim=1), lambda x: F.softmax(x, 1), "Softmax(dim=1)"),
        (nn.LogSoftmax(dim=1), lambda x: F.log_softmax(x, 1), "LogSoftmax(dim=1)"),
    ],
    ids=repr,
)
def test_layers_are_the_functions(layer, function, text):
    np.testing.assert_array_equal(layer(X).array, function(X).array)
    assert repr(layer) == text
