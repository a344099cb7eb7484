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


@pytest.mark.parametrize(
    ("layer", "function", "shape", "text"),
    [
        (nn.Conv1d(4, 6, 3, 2, 1, 1, 2), F.conv1d, (2, 4, 9),
         "Conv1d(4, 6, kernel_size=(3,), stride=(2,), padding=(1,), groups=2)"),
        (nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), F.conv_transpose1d, (2, 4, 9),
         "ConvTranspose1d(4, 6, kernel_size=(3,), stride=(2,), padding=(1,), groups=2, output_padding=(1,))"),
        (nn.ConvTranspose2d(4, 6, 3, bias=False, dilation=2), F.conv_transpose2d, (2, 4, 5, 6),
         "ConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(1, 1), dilation=(2, 2), bias=False)"),
    ],
    ids=repr,
)  # fmt: skip
def test_other_convolutions(layer, function, shape, text):
    x = nb.randn(*shape)
    expected = function(x, layer.weight, layer.bias, *layer.sizes())
    assert layer(x).tolist() == expected.tolist()
    assert repr(layer) == text
    bound = 1 / np.sqrt(np.prod(layer.weight.shape[1:]))
    assert 0.5 * bound < np.abs(layer.weight.array).max() <= bound
