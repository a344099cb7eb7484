"""A step, run as it is and compiled, from one start: the same numbers, bit for bit."""

import warnings

import numpy as np

import nbgrad as nb

CALLS = 4


def runs(build, inputs, compiled):
    """Results and gradients of some calls, and the compiled step (or None).

    `build()` returns (step, parameters); `inputs[k]` are the arguments of call k.
    """
    nb.manual_seed(0)
    step, parameters = build()
    function = nb.compile(step) if compiled else step
    found = []
    for args in inputs:
        result = function(*args)
        results = result if isinstance(result, tuple) else (result,)
        found.append([r.array.copy() for r in results if r is not None])
        found.append([None if p.grad is None else p.grad.array.copy() for p in parameters])
        found.append([p.array.copy() for p in parameters])
    return found, function


def check_same(build, inputs, n_replays=CALLS - 1):
    """The compiled step gives what the step gives, by replays."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wanted, _ = runs(build, inputs, compiled=False)
        found, function = runs(build, inputs, compiled=True)
    assert function.reason is None
    assert function.statistics().replays == n_replays
    for one, other in zip(wanted, found, strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)
    return function


def check_falls_back(build, inputs, reason):
    """The compiled step gives what the step gives, without replays, and says why."""
    wanted, _ = runs(build, inputs, compiled=False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found, function = runs(build, inputs, compiled=True)
    assert reason in function.reason
    assert function.statistics().replays == 0
    assert [reason in str(one.message) for one in said] == [True]
    for one, other in zip(wanted, found, strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


def batches(*shapes, n=CALLS, dtype="float32"):
    """Arguments of `n` calls, all different."""
    rng = np.random.default_rng(3)
    return [
        tuple(nb.tensor(rng.standard_normal(shape).astype(dtype)) for shape in shapes)
        for _ in range(n)
    ]
