import math

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.errors import ShapeError
from nbgrad.nn.linear import draw


def test_linear():
    nb.manual_seed(0)
    layer = nn.Linear(100, 50)
    k = 1 / math.sqrt(100)
    for p in layer.parameters():
        assert np.abs(p.array).max() <= k
        assert np.abs(p.array).max() > 0.8 * k
    x = nb.randn(3, 100)
    np.testing.assert_allclose(
        layer(x).array, x.array @ layer.weight.array.T + layer.bias.array, rtol=1e-5, atol=1e-6
    )
    assert nn.Linear(2, 1, bias=False).bias is None
    assert nn.Linear(2, 1, dtype=nb.float64).weight.dtype == np.float64
    with pytest.raises(ShapeError, match="negative"):
        nn.Linear(-1, 2)


def test_no_inputs_at_all():
    assert nn.Linear(0, 2)(nb.zeros(3, 0)).tolist() == [[0, 0]] * 3
    draw(nb.nn.Parameter(nb.ones(1, 1)), None, 1)


def test_the_seed_decides():
    nb.manual_seed(1)
    first = nn.Linear(3, 2).weight.tolist()
    nb.manual_seed(1)
    assert nn.Linear(3, 2).weight.tolist() == first


def test_identity():
    x = nb.ones(1)
    assert nn.Identity(3, some="thing")(x) is x
