import numpy as np

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn

X = nb.tensor(np.arange(16.0).reshape(1, 1, 4, 4))


def test_layers_are_the_functions():
    assert nn.MaxPool2d(2)(X).flatten().tolist() == F.max_pool2d(X, 2).flatten().tolist()
    assert nn.AvgPool2d(2, 1)(X).shape == F.avg_pool2d(X, 2, 1).shape
    assert nn.AdaptiveAvgPool2d(1)(X).item() == 7.5


def test_signals():
    row = X[0, :, 0]
    assert nn.MaxPool1d(2, ceil_mode=True)(row[:, :3]).tolist() == [[1, 2]]
    assert nn.AvgPool1d(2)(row).tolist() == [[0.5, 2.5]]
    assert nn.AdaptiveAvgPool1d(2)(row).tolist() == [[0.5, 2.5]]
    assert nn.AdaptiveMaxPool1d(1)(row).tolist() == [[3]]
    assert nn.AdaptiveMaxPool2d(1)(X).item() == 15


def test_repr():
    assert "kernel_size=2, stride=2, padding=0" in repr(nn.MaxPool2d(2))
    assert repr(nn.AvgPool2d(2, 1)) == "AvgPool2d(kernel_size=2, stride=1, padding=0)"
    assert repr(nn.AdaptiveAvgPool2d(1)) == "AdaptiveAvgPool2d(output_size=1)"
