"""Random programs across workers: gradients, and absences, equal those of the same program in one process."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dist_autograd.programs import (
    OPS,
    Backward,
    Body,
    Call,
    Fetch,
    Op,
    Program,
    compare,
    run_across,
    run_here,
)

N_QUICK, N_LONG = 150, int(os.environ.get("NBGRAD_PROGRAMS", "2000"))
MOST_CALLS = 40

index = st.integers(0, 30)
ops = st.builds(Op, st.sampled_from(sorted(OPS)), index, index)


@st.composite
def bodies(draw, world, budget, depth):
    """A body with at most budget[0] calls in it and below it."""
    steps = []
    for _ in range(draw(st.integers(0, 6 if depth else 14))):
        kind = draw(
            st.sampled_from(["op", "op", "call", "call", "fetch"] + ["backward"] * (depth == 0))
        )
        if kind == "call" and budget[0] > 0:
            budget[0] -= 1
            below = draw(bodies(world, budget, depth + 1)) if depth < 3 else Body((), (0,))
            steps.append(
                Call(
                    draw(st.integers(0, world - 1)),
                    below,
                    tuple(draw(st.lists(index, max_size=4))),
                    draw(st.sampled_from(["sync", "async", "remote"])),
                    draw(st.none() | st.integers(0, 3)),
                )
            )
        elif kind == "fetch":
            steps.append(Fetch(draw(st.integers(0, 3))))
        elif kind == "backward":
            roots = tuple(draw(st.lists(index, min_size=1, max_size=3)))
            steps.append(Backward(roots, draw(st.sampled_from([True, True, True, False]))))
        else:
            steps.append(draw(ops))
    return Body(tuple(steps), tuple(draw(st.lists(index, max_size=3))))


@st.composite
def programs(draw, world):
    """A program whose last step is a pass."""
    body = draw(bodies(world, [MOST_CALLS], 0))
    last = Backward(tuple(draw(st.lists(index, min_size=1, max_size=3))), draw(st.booleans()))
    return Program(
        Body((*body.steps, last), ()),
        world,
        draw(st.integers(1, 3)),
        draw(st.sampled_from([4, 4, 4, 40_000])),  # the large ones lie in the arena
        draw(st.sampled_from(["float64", "float64", "float32"])),
        draw(st.sampled_from(["auto", "auto", "fast"])),
        draw(st.integers(0, 5)),
    )


quick = settings(
    max_examples=N_QUICK,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def check(group, program):
    compare(program, run_here(program), group.call(run_across, program))


@pytest.mark.timeout(300)
@quick
@given(programs(3))
def test_gradients_equal_those_of_one_process(group3, program):
    check(group3, program)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("world", [2, 3])
def test_gradients_equal_those_of_one_process_at_length(request, world):
    group = request.getfixturevalue(f"group{world}")

    @settings(quick, max_examples=N_LONG)
    @given(programs(world))
    def run(program):
        check(group, program)

    run()
