import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import nn


def test_the_layers_are_their_functions():
    x = nb.randn(3, 4, 2)
    layers = [
        (nn.LayerNorm((4, 2)), lambda m: F.layer_norm(x, (4, 2), m.weight, m.bias)),
        (nn.LayerNorm(2, eps=0.1, bias=False), lambda m: F.layer_norm(x, 2, m.weight, None, 0.1)),
        (nn.RMSNorm(2), lambda m: F.rms_norm(x, 2, m.weight)),
        (nn.GroupNorm(2, 4, eps=0.1), lambda m: F.group_norm(x, 2, m.weight, m.bias, 0.1)),
    ]
    for layer, function in layers:
        for p in layer.parameters():
            nn.init.normal_(p)
        assert (layer(x) == function(layer)).all()
        layer.reset_parameters()
        assert (layer.weight == 1).all()


def test_parameters():
    assert {k: v.shape for k, v in nn.LayerNorm((3, 2)).state_dict().items()} == {
        "weight": (3, 2),
        "bias": (3, 2),
    }
    assert not list(nn.LayerNorm(3, elementwise_affine=False).parameters())
    assert list(nn.RMSNorm(3).state_dict()) == ["weight"]
    assert not list(nn.GroupNorm(1, 3, affine=False).parameters())
    assert repr(nn.LayerNorm(3)) == "LayerNorm((3,), eps=1e-05, elementwise_affine=True)"
    assert repr(nn.GroupNorm(1, 3)) == "GroupNorm(1, 3, eps=1e-05, affine=True)"


def test_mistakes():
    with pytest.raises(ValueError, match="must be divisible by num_groups"):
        nn.GroupNorm(2, 3)
