import random

import numpy as np

import nbgrad as nb
from nbgrad.checkpoint import load_file, save_file
from nbgrad.checkpoint.rng import rng_state, set_rng_state


def draws():
    return nb.randn(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002


def test_the_streams_go_on_from_a_file(tmp_path):
    nb.manual_seed(5)
    draws()
    save_file(rng_state(), tmp_path / "rng.safetensors")
    ahead = draws()
    nb.manual_seed(6)
    assert draws() != ahead
    set_rng_state(load_file(tmp_path / "rng.safetensors"))
    assert nb.initial_seed() == 5
    assert draws() == ahead
