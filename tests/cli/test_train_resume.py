"""`nbgrad train --resume`: a run whose processes were all killed ends as the unbroken one, bit for bit."""

import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from nbgrad.checkpoint import load_file
from tests.groups import eventually

DEADLINE_S = 90.0  # a checkpoint has been written, on a busy machine


class Runs:
    """Runs of the command, each with a folder of its own."""

    def __init__(self, folder, n_steps, *options):
        self.folder, self.n_steps, self.options = folder, n_steps, options

    def command(self, name, *more):
        states = ["--checkpoint-dir", str(self.folder / name), "--save-every", "2", "--no-check"]
        return [sys.executable, "-m", "nbgrad", "train", *self.options, *states, *more]

    def finish(self, name, *more):
        done = subprocess.run(
            self.command(name, *more), capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill_after(self, name, step):
        """Start, and kill launcher, supervisor and workers when that step has been saved."""
        with subprocess.Popen(
            self.command(name), stdout=subprocess.DEVNULL, start_new_session=True
        ) as process:
            there = self.folder / name / f"step-{step:09d}"
            assert eventually(there.exists, DEADLINE_S)
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL

    def end(self, name):
        """Everything that the workers' last files hold, as bytes."""
        found = {}
        for file in sorted((self.folder / name / f"step-{self.n_steps:09d}").iterdir()):
            state = load_file(file)
            found[file.name] = [state["rng"]["seed"], *leaves(state["parts"]["system"])]
        return found


def leaves(state):
    """The arrays and numbers of nested states, in order."""
    if isinstance(state, dict):
        return [leaf for key in state for leaf in leaves(state[key])]
    if isinstance(state, list | tuple):
        return [leaf for part in state for leaf in leaves(part)]
    if hasattr(state, "numpy"):
        return [np.ascontiguousarray(state.numpy()).tobytes()]
    return [state]


def test_characters_go_on_after_a_kill(tmp_path, nothing_left):
    (tmp_path / "a.txt").write_text("What is said twice is known better. " * 60)
    options = ["--task", "chars", "--data", str(tmp_path / "a.txt"), "--batch-size", "4"]
    runs = Runs(tmp_path, 14, *options, "--epochs", "2")
    assert "bits per character" in runs.finish("unbroken")
    runs.kill_after("killed", 6)
    runs.finish("killed", "--resume")
    assert runs.end("killed") == runs.end("unbroken")
    assert sorted(runs.end("killed")) == [f"worker-{k}-of-2.safetensors" for k in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "shared", "model", "pipeline"])
def test_digits_go_on_after_kills_at_random_steps(strategy, tmp_path, nothing_left):
    runs = Runs(tmp_path, 3 * 23, "--strategy", strategy, "--epochs", "3")
    runs.finish("unbroken")
    rng = random.Random(strategy)
    for number in range(5):  # 20 with all strategies
        name = f"killed {number}"
        runs.kill_after(name, rng.randrange(2, 60, 2))
        runs.finish(name, "--resume")
        assert runs.end(name) == runs.end("unbroken")
