import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.errors import ShapeError
from nbgrad.nn.state import load_into, members, state_of


def test_members_are_the_tensors_themselves():
    layer = nn.Linear(2, 1)
    assert members(layer)["weight"] is layer.weight
    assert state_of(layer, "net.")["net.bias"].array is layer.bias.array


def test_all_faults_are_named_and_nothing_changes():
    layer = nn.Linear(2, 1)
    before = layer.weight.tolist()
    state = {"weight": nb.zeros(3, 1), "other": nb.zeros(1)}
    with pytest.raises(ShapeError) as caught:
        load_into(layer, state, strict=True)
    for part in ("size mismatch for weight", "Unexpected key(s) in state_dict: 'other'", "'bias'"):
        assert part in str(caught.value)
    assert layer.weight.tolist() == before


def test_not_strict():
    layer = nn.Linear(2, 1)
    result = layer.load_state_dict({"weight": nb.ones(1, 2), "other": nb.zeros(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["other"]
    assert "other" in repr(result)
    assert layer.weight.tolist() == [[1, 1]]


def test_values_are_converted():
    layer = nn.Linear(1, 1, bias=False)
    layer.load_state_dict({"weight": nb.ones(1, 1, dtype=nb.float64)})
    assert layer.weight.dtype == nb.float32
