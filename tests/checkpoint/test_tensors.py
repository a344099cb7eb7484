import resource

import numpy as np
import pytest
from safetensors.numpy import load_file as plain_load

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.checkpoint import load_file, save_file
from nbgrad.errors import CheckpointError, DtypeError


def test_a_training_state(tmp_path):
    path = tmp_path / "state.safetensors"
    net = nn.Linear(2, 1)
    optimizer = optim.Adam(net.parameters())
    net(nb.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": 1,
        "nan": -np.inf,
    }
    save_file(state, path)
    back = load_file(path)
    assert (back["step"], back["nan"]) == (1, -np.inf)
    assert back["net"]["weight"].tolist() == net.weight.tolist()
    again = optim.Adam(net.parameters())
    again.load_state_dict(back["optimizer"])
    for p in net.parameters():
        for name in ("exp_avg", "exp_avg_sq"):
            assert again.state[p][name].tolist() == optimizer.state[p][name].tolist()


def test_other_programs_read_the_tensors_under_their_names(tmp_path):
    path = tmp_path / "state.safetensors"
    save_file({"net": {"0.weight": nb.ones(2, 3)}, "list": [np.arange(3)]}, path)
    found = plain_load(path)
    assert {name: array.shape for name, array in found.items()} == {
        "net.0.weight": (2, 3),
        "list.0": (3,),
    }


@pytest.mark.parametrize("kind", ["f8", ">f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?"])
def test_dtypes_and_layouts(tmp_path, kind):
    path = tmp_path / "state.safetensors"
    x = np.arange(24).reshape(2, 3, 4).astype(kind)
    arrays = [x, x.T, x[:, ::2], x[0, 0, 0:0], np.asarray(x[1, 1, 1]), x[1, 1, 1]]
    save_file(arrays, path)
    for ours, theirs in zip(arrays, load_file(path), strict=True):
        assert (theirs.dtype, theirs.shape) == (np.dtype(kind).newbyteorder("="), ours.shape)
        np.testing.assert_array_equal(theirs, ours)


def test_names_that_meet_get_numbers(tmp_path):
    path = tmp_path / "state.safetensors"
    save_file({"a": {"b": np.zeros(1)}, "a.b": np.ones(1)}, path)
    assert load_file(path) == {"a": {"b": np.zeros(1)}, "a.b": np.ones(1)}
    assert sorted(plain_load(path)) == ["a.b", "a.b#2"]


def test_what_has_no_room_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "state.safetensors"
    save_file(1, path)
    for obj in ({"a": print}, [np.zeros(1, "c16, i4")], np.zeros(1, "g")):
        with pytest.raises(DtypeError):
            save_file(obj, path)
    assert load_file(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_no_room_leaves_the_old_file(tmp_path):
    path = tmp_path / "state.safetensors"
    save_file(1, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="the old file is as it was"):
            save_file(np.zeros(10_000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_file(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_damaged_files_are_refused_with_the_reason(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(CheckpointError, match="state.safetensors"):
        load_file(path)
    save_file({"w": np.arange(100.0)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match="damaged"):
        load_file(path)
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(CheckpointError, match="checksum of 'w' is wrong"):
        load_file(path)


def test_files_of_other_programs_are_refused(tmp_path):
    from safetensors.numpy import save_file as plain_save

    plain_save({"w": np.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="format is None"):
        load_file(tmp_path / "plain.safetensors")
