import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn

X = nb.tensor([[-7.0, -0.7, 0.3, 2.0, 8.0]])


@pytest.mark.parametrize(
    ("layer", "function", "text"),
    [
        (nn.ReLU6(), F.relu6, "ReLU6()"),
        (nn.Hardtanh(-2.0, 3.0), lambda x: F.hardtanh(x, -2, 3), "Hardtanh(min_val=-2.0, max_val=3.0)"),
        (nn.Hardsigmoid(), F.hardsigmoid, "Hardsigmoid()"),
        (nn.Hardswish(inplace=True), F.hardswish, "Hardswish()"),
        (nn.Hardshrink(0.6), lambda x: F.hardshrink(x, 0.6), "Hardshrink(lambd=0.6)"),
        (nn.Softshrink(0.6), lambda x: F.softshrink(x, 0.6), "Softshrink(lambd=0.6)"),
        (nn.Threshold(0.5, 9.0), lambda x: F.threshold(x, 0.5, 9.0), "Threshold(threshold=0.5, value=9.0)"),
    ],
    ids=repr,
)  # fmt: skip
def test_layers_are_the_functions(layer, function, text):
    np.testing.assert_array_equal(layer(X).array, function(X).array)
    assert repr(layer) == text
