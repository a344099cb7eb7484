"""Many random programs, from seeds: the bulk form of test_random_programs.py, whose failures hypothesis shrinks.

A failing seed is named in the message; `NBGRAD_SEED=123 pytest tests/dist_autograd/test_seeded_programs.py` runs it alone.
"""

import os
import random

import pytest

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

N_QUICK, N_LONG = 2_000, 20_000
PART = 1_000  # programs of a long test, which must end within its time also where others work
MOST_CALLS = 40
AT_ONCE = 20  # programs that worker 0 runs per request of pytest


def draw_body(rng, world, budget, depth):
    """A body with at most budget[0] calls in it and below it."""
    steps = []
    for _ in range(rng.randint(0, 5 if depth else 12)):
        kind = rng.choice(["op", "op", "call", "call", "fetch"] + ["backward"] * (depth == 0))
        if kind == "call" and budget[0] > 0:
            budget[0] -= 1
            below = draw_body(rng, world, budget, depth + 1) if depth < 3 else Body((), (0,))
            args = tuple(rng.randrange(31) for _ in range(rng.randint(0, 4)))
            way = rng.choice(["sync", "async", "remote"])
            steps.append(
                Call(rng.randrange(world), below, args, way, rng.choice([None, None, 0, 1, 2]))
            )
        elif kind == "fetch":
            steps.append(Fetch(rng.randrange(4)))
        elif kind == "backward":
            roots = tuple(rng.randrange(31) for _ in range(rng.randint(1, 3)))
            steps.append(Backward(roots, rng.random() < 0.75))
        else:
            steps.append(Op(rng.choice(sorted(OPS)), rng.randrange(31), rng.randrange(31)))
    return Body(tuple(steps), tuple(rng.randrange(31) for _ in range(rng.randint(0, 3))))


def draw_program(seed, world):
    """The program of a seed; its last step is a pass."""
    rng = random.Random(seed)
    body = draw_body(rng, world, [rng.choice([4, 10, MOST_CALLS])], 0)
    last = Backward(tuple(rng.randrange(31) for _ in range(rng.randint(1, 3))), rng.random() < 0.5)
    return Program(
        Body((*body.steps, last), ()),
        world,
        rng.randint(1, 3),
        rng.choice([4, 4, 4, 4, 4, 4, 4, 40_000]),  # the large ones lie in the arena
        rng.choice(["float64", "float64", "float32"]),
        rng.choice(["auto", "auto", "fast"]),
        seed,
    )


def run_many(seeds, world):
    """On worker 0: what the programs of some seeds give."""
    return [run_across(draw_program(seed, world)) for seed in seeds]


def check(group, seeds, world):
    for start in range(0, len(seeds), AT_ONCE):
        part = seeds[start : start + AT_ONCE]
        for seed, found in zip(part, group.call(run_many, part, world)):
            program = draw_program(seed, world)
            try:
                compare(program, run_here(program), found)
            except AssertionError as error:
                error.add_note(f"(seed {seed}, {world} workers)")
                raise


def seeds_of(count, first):
    """The seeds to run."""
    only = os.environ.get("NBGRAD_SEED")
    return [int(only)] if only else list(range(first, first + count))


@pytest.mark.timeout(400)
def test_two_workers(group2):
    check(group2, seeds_of(N_QUICK // 4, 0), 2)


@pytest.mark.timeout(400)
def test_three_workers(group3):
    check(group3, seeds_of(N_QUICK // 2, 100_000), 3)


@pytest.mark.timeout(400)
def test_four_workers(group4):
    check(group4, seeds_of(N_QUICK // 4, 300_000), 4)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("part", range(N_LONG // 4 // PART))
def test_many_two_workers(group2, part):
    check(group2, seeds_of(PART, 400_000 + PART * part), 2)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("part", range(N_LONG // 4 // PART))
def test_many_three_workers(group3, part):
    check(group3, seeds_of(PART, 200_000 + PART * part), 3)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("part", range(N_LONG // 2 // PART))
def test_many_four_workers(group4, part):
    check(group4, seeds_of(PART, 500_000 + PART * part), 4)
