import pytest

import nbgrad as nb
from nbgrad import nn


def test_only_in_training_mode():
    layer = nn.Dropout(0.5)
    assert (layer(nb.ones(1000)) == 0).any()
    assert layer.eval()(nb.ones(1000)).array.min() == 1
    assert repr(layer) == "Dropout(p=0.5, inplace=False)"
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(-0.1)


def test_channels_only_in_training_mode():
    layer = nn.Dropout2d(0.5)
    x = nb.ones(10, 10, 2, 2)
    assert (layer(x) == 0).any()
    assert layer.eval()(x).array.min() == 1
    assert repr(layer) == "Dropout2d(p=0.5, inplace=False)"
