import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn

X = nb.arange(16.0).reshape(1, 1, 4, 4)
ROW = X[0, :, 0]


@pytest.mark.parametrize(
    ("layer", "expected", "text"),
    [
        (nn.Upsample(8), F.interpolate(X, 8), "Upsample(size=8, mode='nearest')"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), F.interpolate(X, 8, mode="bilinear"),
         "Upsample(scale_factor=2, mode='bilinear')"),
        (nn.ZeroPad2d(1), F.pad(X, (1, 1, 1, 1)), "ZeroPad2d((1, 1, 1, 1))"),
        (nn.ConstantPad2d((1, 0, 2, 0), 5.0), F.pad(X, (1, 0, 2, 0), value=5), "ConstantPad2d(padding=(1, 0, 2, 0), value=5.0)"),
        (nn.ReflectionPad2d(2), F.pad(X, (2,) * 4, "reflect"), "ReflectionPad2d((2, 2, 2, 2))"),
        (nn.ReplicationPad2d(2), F.pad(X, (2,) * 4, "replicate"), "ReplicationPad2d((2, 2, 2, 2))"),
        (nn.Unfold(2, stride=2), F.unfold(X, 2, stride=2), "Unfold(kernel_size=2, dilation=1, padding=0, stride=2)"),
        (nn.Fold(4, 1), X, "Fold(output_size=4, kernel_size=1, dilation=1, padding=0, stride=1)"),
    ],
    ids=repr,
)  # fmt: skip
def test_layers_are_the_functions(layer, expected, text):
    x = X.reshape(1, 1, 16) if isinstance(layer, nn.Fold) else X
    assert layer(x).tolist() == expected.tolist()
    assert repr(layer) == text


def test_signals():
    modes = {
        nn.ZeroPad1d: "constant",
        nn.ReflectionPad1d: "reflect",
        nn.ReplicationPad1d: "replicate",
    }
    for layer, mode in modes.items():
        assert layer(2)(ROW).tolist() == F.pad(ROW, (2, 2), mode).tolist()
    assert nn.ConstantPad1d(1, 9.0)(ROW).tolist() == [[9, 0, 1, 2, 3, 9]]
