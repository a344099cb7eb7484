"""Pipelines over real workers: gradients, order, memory, errors, deaths."""

import os
import signal

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, rpc
from nbgrad.errors import BackwardError, WorkerDied
from nbgrad.parallel import Pipeline
from nbgrad.rpc import state
from tests.groups import fresh, on_all

M = 4
WIDTH = 6
pipelines = {}


class Twin(nn.Module):
    """A stage of two tensors."""

    def __init__(self, sign):
        super().__init__()
        self.linear, self.sign = nn.Linear(WIDTH, WIDTH), sign

    def forward(self, x, y=None):
        z = self.linear(x) if y is None else self.linear(x) + self.sign * y
        return z.tanh(), z.relu()


class Ending(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, 3)

    def forward(self, x, y):
        return self.linear(x * y)


def make_stage(kind, rank, world):
    nb.manual_seed(10 + rank)
    if rank == world - 1:
        return nn.Linear(WIDTH, 3) if kind == "plain" else Ending()
    if kind == "twin":
        return Twin(rank + 1)
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())


class Whole(nn.Module):
    """All stages in one process."""

    def __init__(self, kind, world):
        super().__init__()
        self.stages = nn.ModuleList([make_stage(kind, rank, world) for rank in range(world)])

    def forward(self, x):
        x = (x,)
        for stage in self.stages:
            y = stage(*x)
            x = y if isinstance(y, tuple) else (y,)
        return x[0]


def batch(seed):
    generator = nb.Generator().manual_seed(seed)
    return nb.randn(8, WIDTH, generator=generator), nb.randint(3, (8,), generator=generator)


class Broken(nn.Module):
    """The second stage fails at its second micro-batch."""

    def __init__(self, kind, rank):
        super().__init__()
        self.linear, self.kind, self.rank, self.calls = nn.Linear(WIDTH, WIDTH), kind, rank, 0

    def forward(self, x):
        self.calls += 1
        if self.rank == 1 and self.calls == 2:
            if self.kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ZeroDivisionError("stage one is broken")
        return self.linear(x)


def broken_stage(kind, rank, world):
    return Broken(kind, rank)


# ---------------------------------------------------------------- in the workers


def make(kind, schedule, stage=make_stage):
    agent = state.agent()
    loss = nn.functional.cross_entropy
    pipelines["here"] = Pipeline(stage(kind, agent.rank, agent.world), M, loss, schedule)


def step(seed, forward=False):
    pipeline = pipelines["here"]
    x, y = batch(seed)
    if forward:
        out = pipeline.forward(x)
        return None if out is None else out.tolist()
    return pipeline.step(x, y)


def gradients():
    return [p.grad.numpy() for p in pipelines["here"].stage.parameters()]


def forget():
    pipelines.clear()


def everywhere(function, *args):
    """Values of the function on all workers, at the same time; errors instead of values where there are any."""
    futures = [rpc.rpc_async(rank, function, args) for rank in range(state.agent().world)]
    found = []
    for future in futures:
        try:
            found.append(future.wait())
        except Exception as error:
            found.append((type(error).__name__, str(error)))
    return found


def run(kind, schedule, n_steps):
    """In worker 0: make pipelines, make steps; (losses, outputs, gradients of all, statistics)."""
    on_all(make, kind, schedule)
    losses = [everywhere(step, seed)[-1] for seed in range(n_steps)]
    outputs = everywhere(step, 0, True)[-1]
    found = losses, outputs, on_all(gradients), pipelines["here"].statistics()
    on_all(forget)
    return found


def fail_and_go_on():
    on_all(make, "raises", "1f1b", broken_stage)
    first, second = everywhere(step, 0), everywhere(step, 1)
    on_all(forget)
    return first, second


def until_killed():
    on_all(make, "killed", "1f1b", broken_stage)
    for rank in (1, 2):
        rpc.rpc_async(rank, step, (0,))
    try:
        step(0)
    except WorkerDied as error:
        return str(error)
    return "no error"


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe"])
@pytest.mark.parametrize("kind", ["plain", "twin"])
def test_gradients_are_those_of_one_process(kind, schedule, group3):
    losses, outputs, found, statistics = group3.call(run, kind, schedule, 2)
    whole = Whole(kind, 3)
    for seed, loss in enumerate(losses):
        parts = []
        for a, b in zip(*[part.chunk(M) for part in batch(seed)]):
            part = nn.functional.cross_entropy(whole(a), b)
            (part / M).backward()
            parts.append(part.item())
        assert loss == np.mean(parts)
    for stage, theirs in zip(whole.stages, found, strict=True):
        for p, g in zip(stage.parameters(), theirs, strict=True):
            np.testing.assert_allclose(g, p.grad.numpy(), rtol=0, atol=1e-7)  # sums of two outputs
    assert outputs == nb.cat([whole(a) for a in batch(0)[0].chunk(M)]).tolist()
    assert statistics.n_steps == 2
    assert statistics.peak_held == ((3, 2, 1) if schedule == "1f1b" else (M, M, M))
    assert 0.0 < statistics.bubble < 1.0
    assert statistics.ideal_bubble == pytest.approx(2 / 6)


def test_activations_of_1f1b_take_less_memory(group2):
    few, many = (group2.call(run, "plain", name, 1)[3].peak_bytes for name in ("1f1b", "gpipe"))
    assert 2 * few[0] == many[0]
    assert 4 * few[1] == many[1]


def test_a_stage_that_raises_is_told_to_all(group3):
    first, second = group3.call(fail_and_go_on)
    assert "stage one is broken" in first[1][1]
    for kind, text in (first[0], first[2]):
        assert kind == BackwardError.__name__
        assert "stage 1" in text
        assert "stage one is broken" in text
    assert isinstance(second[2], float)


def test_a_killed_stage_is_named(groups):
    with fresh(3) as group:
        assert "worker1" in group.call(until_killed)
        group.is_broken = True


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"schedule": "2f2b"}, "one of gpipe, 1f1b"),
        ({"n_micro_batches": 0}, "at least 1"),
    ],
)
def test_options_that_make_no_sense(options, match):
    with pytest.raises(ValueError, match=match):
        Pipeline(nn.Linear(1, 1), **({"n_micro_batches": 2} | options))
