import io
import json
import math
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.errors import DtypeError, ShapeError


def round_trip(obj):
    file = io.BytesIO()
    nb.save(obj, file)
    file.seek(0)
    return nb.load(file)


def test_plain_values_keep_their_types():
    obj = {"a": [1, 2.5, "x", None, True, (1, 2)], 3: {None: -math.inf}, "big": 2**100}
    assert round_trip(obj) == obj
    assert math.isnan(round_trip(math.nan))
    assert isinstance(round_trip(OrderedDict(a=1)), OrderedDict)
    assert round_trip(np.float64(2.5)) == 2.5
    assert round_trip([]) == []


def test_arrays_and_tensors():
    x = nb.tensor([[1.5, 2.5]], requires_grad=True)
    back = round_trip(
        {"x": x, "array": np.arange(3), "p": nn.Parameter(x), "empty": nb.zeros(0, 2)}
    )
    assert back["x"].tolist() == x.tolist()
    assert back["x"].requires_grad
    assert isinstance(back["p"], nn.Parameter)
    assert type(back["array"]) is np.ndarray
    assert back["empty"].shape == (0, 2)
    y = round_trip(nb.arange(6).reshape(2, 3).T)
    assert y.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert y.dtype == np.int64
    assert round_trip(nb.tensor(2.0)).shape == ()


def test_an_array_that_occurs_twice_is_stored_once():
    x = nb.ones(3)
    a, b = round_trip([x, x.detach()])
    assert a.array is b.array


def test_a_training_state(tmp_path):
    path = tmp_path / "state.nb"
    net = nn.Linear(2, 1)
    optimizer = optim.Adam(net.parameters())
    net(nb.ones(1, 2)).sum().backward()
    optimizer.step()
    nb.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, path)
    state = nb.load(str(path), map_location="cpu", weights_only=True)
    twin = nn.Linear(2, 1)
    twin.load_state_dict(state["net"])
    resumed = optim.Adam(twin.parameters())
    resumed.load_state_dict(state["optimizer"])
    for model, opt in ((net, optimizer), (twin, resumed)):
        opt.zero_grad()
        model(nb.ones(1, 2)).sum().backward()
        opt.step()
    assert twin.weight.array.tobytes() == net.weight.array.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == ["state.nb"]


def test_what_needs_pickle_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "state.nb"
    nb.save(1, path)
    for obj in (object(), nn.Linear(1, 1), {"a": [print]}, np.array([object()]), {(1, 2): 3}):
        with pytest.raises(DtypeError):
            nb.save(obj, path)
    with pytest.raises(DtypeError, match=r"the object\['a'\]\[0\]"):
        nb.save({"a": [print]}, path)
    assert nb.load(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.nb"]


def test_damaged_files(tmp_path):
    path = tmp_path / "state.nb"
    path.write_bytes(b"nothing")
    with pytest.raises(ShapeError, match=r"state\.nb"):
        nb.load(path)
    nb.save(nb.ones(100), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ShapeError, match="damaged"):
        nb.load(path)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("structure.json", json.dumps({"format": "other"}))
    with pytest.raises(ShapeError, match="format"):
        nb.load(file)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("structure.json", json.dumps({"format": "nbgrad-1", "root": ["evil", 1]}))
    with pytest.raises(ShapeError, match="evil"):
        nb.load(file)


def test_pickles_are_never_read():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        structure = {"format": "nbgrad-1", "root": ["array", 0]}
        archive.writestr("structure.json", json.dumps(structure))
        member = io.BytesIO()
        np.save(member, np.array([object()]), allow_pickle=True)
        archive.writestr("0.npy", member.getvalue())
    with pytest.raises(ShapeError, match="pickle"):
        nb.load(file)
