import math

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn
from nbgrad.errors import ShapeError


def test_conv2d():
    layer = nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=1, groups=2)
    x = nb.randn(2, 4, 8, 8)
    expected = F.conv2d(x, layer.weight, layer.bias, 2, 1, 1, 2)
    np.testing.assert_array_equal(layer(x).array, expected.array)
    assert layer.weight.shape == (6, 2, 3, 2)
    assert np.abs(layer.weight.array).max() <= 1 / math.sqrt(2 * 3 * 2)


def test_repr():
    assert repr(nn.Conv2d(2, 2, 3, groups=2, dilation=2, padding="same", bias=False)) == (
        "Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=2, bias=False)"
    )


def test_mistakes():
    with pytest.raises(ShapeError, match="divisible by groups"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(NotImplementedError, match="padding_mode"):
        nn.Conv2d(1, 1, 1, padding_mode="circular")
