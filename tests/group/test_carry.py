"""Settings of the launcher arrive in the workers; the seed is one of them."""

import numpy as np

import nbgrad as nb
from nbgrad.group import carry, spawn
from nbgrad.ops.random import seed_of


def draw(rank, folder, own_seed):
    if own_seed is not None:
        nb.manual_seed(own_seed)
    np.save(f"{folder}/{rank}", nb.rand(4).numpy())


def draws(folder, own_seed=None):
    spawn(draw, (str(folder), own_seed), nprocs=2)
    return [np.load(folder / f"{rank}.npy").tolist() for rank in range(2)]


def test_values_are_handed_out(monkeypatch):
    monkeypatch.setattr(carry, "_carried", {})
    given = []
    carry.carry("x", lambda: 5, lambda value, number: given.append((value, number)))
    carry.hand_out(carry.collected(), 3)
    assert given == [(5, 3)]


def test_one_seed_in_the_launcher_gives_each_worker_its_own_stream(tmp_path, nothing_left):
    nb.manual_seed(3)
    first = draws(tmp_path)
    assert first[0] != first[1]
    assert draws(tmp_path) == first
    assert first[1] == nb.rand(4, generator=nb.Generator().manual_seed(seed_of(3, 1))).tolist()
    nb.manual_seed(4)
    assert draws(tmp_path) != first


def test_a_seed_set_in_a_worker_is_exactly_that_seed(tmp_path, nothing_left):
    nb.manual_seed(3)
    expected = nb.rand(4, generator=nb.Generator().manual_seed(7)).tolist()
    assert draws(tmp_path, own_seed=7) == [expected, expected]
