import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError
from nbgrad.ops.random import as_size


def test_the_seed_repeats_everything():
    def draw():
        nb.manual_seed(5)
        parts = [
            nb.rand(2),
            nb.randn(2),
            nb.randint(9, (2,)),
            nb.randperm(4),
            nb.normal(0.0, 1.0, (2,)),
        ]
        return [part.tolist() for part in parts]

    assert draw() == draw()
    assert nb.initial_seed() == 5
    nb.manual_seed(-1)


def test_shapes_and_dtypes():
    assert nb.rand(2, 3).shape == nb.randn((2, 3)).shape == (2, 3)
    assert nb.rand(2).dtype == np.float32
    assert nb.randn(2, dtype=nb.float64, requires_grad=True).requires_grad
    assert nb.rand(()).shape == nb.rand().shape == ()
    assert nb.randint(3, 5, (20,)).array.min() >= 3
    assert nb.randint(3, 5, (20,), dtype=nb.float32).dtype == np.float32
    assert nb.rand_like(nb.ones(2, dtype=nb.float64)).dtype == np.float64
    assert nb.randn_like(nb.ones(2), dtype=nb.float64).dtype == np.float64
    assert as_size((np.int64(2),)) == (2,)
    with pytest.raises(DtypeError, match="randint"):
        nb.randint(3)


def test_generators_are_independent():
    g = nb.Generator().manual_seed(1)
    first = nb.rand(2, generator=g).tolist()
    state = g.get_state()
    second = nb.rand(2, generator=g).tolist()
    g.set_state(state)
    assert nb.rand(2, generator=g).tolist() == second
    assert first != second
    assert g.initial_seed() == 1


def test_normal_and_bernoulli():
    assert nb.normal(nb.tensor([1.0, 2.0]), 0.0).tolist() == [1, 2]
    assert nb.normal(0.0, nb.zeros(3)).shape == (3,)
    assert nb.bernoulli(nb.tensor([0.0, 1.0])).tolist() == [0, 1]
    state = nb.get_rng_state()
    a = nb.rand(1).item()
    nb.set_rng_state(state)
    assert nb.rand(1).item() == a
