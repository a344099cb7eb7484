"""Checkpoints of one worker, and of a group that is killed as a whole at random steps: Note [Whole checkpoints]."""

import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.checkpoint import Checkpoints, load_file
from nbgrad.checkpoint.checkpoints import place
from nbgrad.errors import CheckpointError

N_STEPS = 24


class Part:
    """Something with a state."""

    def __init__(self, value=0):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def of_workers(folder, world=2, keep=2):
    return [Checkpoints(folder, {"part": Part(rank)}, rank, world, keep) for rank in range(world)]


def test_nothing_to_resume(tmp_path):
    assert Checkpoints(tmp_path / "new" / "folder", {}).resume() == 0
    assert place() == (0, 1)


def test_a_checkpoint_counts_when_all_workers_have_written(tmp_path):
    first, second = of_workers(tmp_path)
    first.save(10)
    assert (first.whole(), first.steps()) == ([], [10])
    second.save(10, note="last")
    first.save(20)
    for rank, checkpoints in enumerate(of_workers(tmp_path)):
        assert checkpoints.resume() == 10
        assert checkpoints.parts["part"].value == rank
        assert checkpoints.extra == ({"note": "last"} if rank else {})
    assert first.steps() == [10]  # W3: the first worker's file of step 20 is of a run that is over


def test_old_ones_go_when_newer_ones_are_whole(tmp_path):
    first, second = of_workers(tmp_path)
    for step in (1, 2, 3):
        first.save(step)
    assert first.steps() == [1, 2, 3]
    for step in (1, 2, 3):
        second.save(step)
    first.save(4)
    assert first.whole() == [2, 3]
    second.save(4)
    assert first.whole() == [3, 4]
    first.clear()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_left_goes_with_the_rest(tmp_path):
    (alone,) = of_workers(tmp_path, world=1, keep=1)
    alone.save(1)
    (alone.path(1).parent / f".{alone.path(1).name}.abc").write_text("half")
    alone.save(2)
    assert alone.steps() == [2]


def test_other_runs_are_refused(tmp_path):
    for checkpoints in of_workers(tmp_path):
        checkpoints.save(1)
    with pytest.raises(CheckpointError, match="checkpoint of 2 workers, and this run has 3"):
        Checkpoints(tmp_path, {}, 0, 3).resume()
    with pytest.raises(CheckpointError, match=r"holds the states of \['part'\]"):
        Checkpoints(tmp_path, {"net": Part()}, 0, 2).resume()
    with pytest.raises(ValueError, match="keep is 0"):
        Checkpoints(tmp_path, {}, keep=0)


def test_random_numbers_and_schedules_go_on(tmp_path):
    def run(n_steps):
        nb.manual_seed(3)
        net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimizer = optim.NAdam(net.parameters(), lr=0.1)
        scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [2, 3])
        parts = {"net": net, "optimizer": optimizer, "scheduler": scheduler}
        checkpoints = Checkpoints(tmp_path, parts)
        for step in range(checkpoints.resume(), n_steps):
            optimizer.zero_grad()
            net(nb.randn(5, 3)).sum().backward()
            optimizer.step()
            scheduler.step()
            checkpoints.save(step + 1)
        checkpoints_left = checkpoints.whole()
        return checkpoints_left, [p.tolist() for p in net.parameters()], scheduler.get_last_lr()

    whole = run(5)
    Checkpoints(tmp_path, {}).clear()
    run(2)
    assert run(5) == whole


# ---------------------------------------------------------------- a group

PROGRAM = """
import os, sys
import numpy as np
import nbgrad as nb
from nbgrad import distributed, nn, optim
from nbgrad.checkpoint import Checkpoints
from nbgrad.utils.data import DataLoader, DistributedSampler, TensorDataset

folder, n_steps, dies_at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
distributed.init_process_group()
rank = distributed.get_rank()
data = nb.Generator().manual_seed(1)
x = nb.randn(60, 5, generator=data)
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), 8, sampler=DistributedSampler(x))
with_dropout = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
for p in with_dropout.parameters():
    distributed.broadcast(p.detach(), 0)
optimizer = optim.Adam(with_dropout.parameters(), lr=0.01)
scheduler = optim.lr_scheduler.StepLR(optimizer, 5, 0.7)
parts = {"net": with_dropout, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
checkpoints = Checkpoints(folder, parts)
step = checkpoints.resume()
os.write(1, b"seed %d\\n" % nb.initial_seed())
while step < n_steps:
    loader.sampler.set_epoch(step // len(loader))
    for inputs, targets in loader:
        loss = nn.functional.mse_loss(with_dropout(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        for p in with_dropout.parameters():
            distributed.all_reduce(p.grad)
        optimizer.step()
        scheduler.step()
        step += 1
        if step % 2 == 0:
            checkpoints.save(step, loss=loss.item())
        os.write(1, b"step %d\\n" % step)  # in one piece
        is_first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if step == dies_at and rank == 1 and is_first:
            os.kill(os.getpid(), 9)
        if step == n_steps:
            break
np.savez(f"{folder}/end-{rank}", *[p.detach().numpy() for p in with_dropout.parameters()])
distributed.destroy_process_group()
"""


class Runs:
    """Starts the program; `end` gives the final parameters of both workers."""

    def __init__(self, folder):
        self.script = folder / "program.py"
        self.script.write_text(PROGRAM)
        self.folder = folder

    def command(self, name, *options, dies_at=0):
        run = [sys.executable, "-m", "nbgrad", "run", "--nproc", "2", "--seed", "11", *options]
        return [*run, str(self.script), str(self.folder / name), str(N_STEPS), str(dies_at)]

    def finish(self, name, *options, dies_at=0):
        command = self.command(name, *options, dies_at=dies_at)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done

    def kill_at(self, name, n_lines):
        """Start, and kill launcher, supervisor and workers when so many lines were printed; whether it was in time."""
        with subprocess.Popen(
            self.command(name), stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            for _ in range(n_lines):
                if not process.stdout.readline():
                    break
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait() == -signal.SIGKILL

    def end(self, name):
        found = []
        for rank in range(2):
            with np.load(self.folder / name / f"end-{rank}.npz") as arrays:
                found.append([arrays[key].tobytes() for key in arrays.files])
        return found


@pytest.fixture
def runs(tmp_path, nothing_left):
    return Runs(tmp_path)


def kill_and_compare(runs, n_kills):
    done = runs.finish("unbroken")
    seeds = [line for line in done.stdout.splitlines() if line.startswith("seed")]
    assert len(set(seeds)) == 2  # one seed, and each worker its own stream
    expected = runs.end("unbroken")
    rng = random.Random(n_kills)
    for number in range(n_kills):
        name = f"killed {number}"
        # two lines per step and the seeds: from the first step to just before the last
        assert runs.kill_at(name, rng.randint(4, 2 * N_STEPS - 2))
        runs.finish(name)
        assert runs.end(name) == expected


def test_a_group_killed_at_random_steps_ends_as_the_unbroken_one(runs):
    kill_and_compare(runs, 3)


@pytest.mark.slow
def test_a_group_killed_at_twenty_random_steps_ends_as_the_unbroken_one(runs):
    kill_and_compare(runs, 20)


def test_a_failed_worker_restarts_the_group_from_the_last_checkpoint(runs):
    runs.finish("unbroken")
    done = runs.finish("restarted", "--max-restarts", "1", dies_at=13)
    assert "restart 1 of 1" in done.stderr
    assert runs.end("restarted") == runs.end("unbroken")
    # the second start began after step 12
    steps = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("step")]
    assert steps.count(12) == 2
    assert steps.count(13) >= 3  # once more by both
    assert load_file(
        runs.folder / "restarted" / f"step-{N_STEPS:09d}" / "worker-1-of-2.safetensors"
    )
