import numpy as np
import pytest

from nbgrad.capture.lower import Instruction
from nbgrad.capture.machine import ROUTINES, TILE, interpreter
from nbgrad.capture.plan import Plan, Run
from nbgrad.capture.trace import Trace, Value


def program(names, n, dtype="float32"):
    """A run x -> f(x, y) -> ... and its arrays."""
    plan = Plan(Trace())
    x, y, *outs = [Value(k, np.empty(n, dtype)) for k in range(2 + len(names))]
    run = Run(x)
    before = x
    for name, out in zip(names, outs, strict=True):
        run.instructions.append(Instruction(name, out, (before, y)))
        before = out
    plan.runs = [run]
    plan.place({x, y, outs[-1]})
    return plan, run


@pytest.mark.parametrize("n", [1, 7, 64, TILE, TILE + 1, 5 * TILE + 3, 40_000])
def test_all_tiles_are_computed(n):
    plan, run = program(["add", "mul", "sub", "div"], n, "float64")
    rng = np.random.default_rng(0)
    x, y, z = rng.standard_normal(n), rng.uniform(1, 2, n), np.zeros(n)
    assert interpreter()(run.program, x, y, z) == 1
    np.testing.assert_array_equal(z, ((x + y) * y - y) / y)
    assert plan.keep


def test_arrays_may_be_others_each_time():
    plan, run = program(["add", "add"], 5)
    for k in range(3):
        x, y, z = np.full(5, k, "f4"), np.ones(5, "f4"), np.zeros(5, "f4")
        assert interpreter()(run.program, x, y, z) == 1
        assert z.tolist() == [k + 2] * 5
    assert plan.keep


@pytest.mark.parametrize(
    "wrong",
    [np.ones(4, "f4"), np.ones(5, "f8"), np.ones(10, "f4")[::2], [1.0] * 5, np.ones((5, 2), "f4")],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(wrong):
    plan, run = program(["add"], 5)
    z = np.zeros(5, "f4")
    assert interpreter()(run.program, wrong, np.ones(5, "f4"), z) == 0
    assert interpreter()(run.program, np.ones(5, "f4"), z) == 0
    assert z.tolist() == [0] * 5
    assert plan.keep


def test_every_routine_is_known_under_its_name():
    assert all(routine.__name__ == name for name, routine in ROUTINES.items())
