"""The updates' formulas are those of the local optimizers, step after step, in both dtypes."""

import ctypes

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.parallel import updates
from nbgrad.parallel.updates import N_NUMBERS, recipe_of

OPTIMIZERS = [
    (nb.optim.SGD, {"lr": 0.1}),
    (nb.optim.SGD, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    (nb.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1}),
    (nb.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (nb.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    (nb.optim.Adam, {"lr": 0.01, "betas": (0.5, 0.6), "eps": 1e-3, "maximize": True}),
    (nb.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
]


def call(routine, dtype, *arguments):
    """The native function: addresses of arrays, then numbers."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 8)(routine.address(dtype))
    given = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    function(*given, *[0] * (8 - len(given)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_formulas(kind, options, dtype):
    rng = np.random.default_rng(0)
    start = rng.standard_normal(37).astype(dtype)
    p = nb.nn.Parameter(nb.tensor(start))
    optimizer = kind([p], **options)
    recipe = recipe_of(optimizer)
    found, states = start.copy(), [np.zeros(37, dtype) for _ in recipe.states]
    for t in range(1, 5):
        g = rng.standard_normal(37).astype(dtype)
        p.grad = nb.tensor(g)
        optimizer.step()
        numbers = np.zeros(N_NUMBERS, dtype)
        row = recipe.numbers(optimizer.param_groups[0], t, 0.5)
        numbers[: len(row)] = row
        call(recipe.update, dtype, found, 2 * g, *states, numbers, 37)
    limit = 1e-6 if dtype == "float32" else 1e-14
    assert np.abs(found - p.array).max() <= limit
    for name, state in zip(recipe.states, states):
        assert np.abs(state - optimizer.state[p][name].array).max() <= limit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_the_form_of_two_gradients_gives_the_same_bits(kind, options, dtype):
    rng = np.random.default_rng(2)
    optimizer = kind([nb.nn.Parameter(nb.zeros(1))], **options)
    recipe = recipe_of(optimizer)
    n = 5 * recipe.pair.unit(dtype)
    numbers = np.zeros(N_NUMBERS, dtype)
    row = recipe.numbers(optimizer.param_groups[0], 3, 0.5)
    numbers[: len(row)] = row
    p, g, h, *states = np.abs(rng.standard_normal((3 + len(recipe.states), n))).astype(dtype)
    g -= 1
    found = [p.copy(), *[state.copy() for state in states]]
    call(recipe.update, dtype, p, g + h, *states, numbers, n)
    call(recipe.pair, dtype, found[0], g, h, *found[1:], numbers, n)
    assert all(np.array_equal(a, b) for a, b in zip(found, [p, *states], strict=True))
    assert np.isfinite(p).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms(dtype):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(5001).astype(dtype)
    numbers = np.zeros(4 + 2 * 2, dtype)
    numbers[:2] = 3.0, -0.5  # limit, factor
    for p, part in enumerate((x[:2000], x[2000:])):
        for tile in np.array_split(part, 3):
            call(updates.add_squares, dtype, tile, numbers[4 + 2 * p :], tile.size)
    call(updates.clip, dtype, numbers, numbers.size, 2)
    norm = 0.5 * np.linalg.norm(x.astype(np.float64))
    assert abs(numbers[2] / norm - 1) < (1e-7 if dtype == "float32" else 1e-15)
    assert numbers[3] == pytest.approx(3.0 / norm, rel=1e-6)
    out = np.empty_like(x)
    call(updates.multiply, dtype, out, x, numbers, x.size)
    assert np.allclose(out, x * numbers[3])
    numbers[0] = 1e6
    call(updates.clip, dtype, numbers, numbers.size, 2)
    assert numbers[3] == 1.0
    numbers[4] = np.nan
    call(updates.clip, dtype, numbers, numbers.size, 2)
    assert np.isnan(numbers[3]), "a step with NaN is seen, not hidden"


def test_what_has_no_form_is_refused():
    a, b = nb.nn.Parameter(nb.ones(1)), nb.nn.Parameter(nb.ones(1))
    with pytest.raises(ValueError, match="amsgrad"):
        recipe_of(nb.optim.Adam([a], amsgrad=True))
    with pytest.raises(ValueError, match="not of Adagrad"):
        recipe_of(nb.optim.Adagrad([a]))
    with pytest.raises(ValueError, match="momentum"):
        recipe_of(nb.optim.SGD([{"params": [a], "momentum": 0.9}, {"params": [b]}], lr=0.1))
