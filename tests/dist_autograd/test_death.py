"""kill -9 of a worker inside a pass: every run ends by itself, every survivor names the dead one, nothing is left.

pytest     reads two words of shared memory: the caller's PROGRESS (odd: inside a pass) and how many messages the
           victim has sent; when both are where a random number wants them it kills the victim
worker0    the caller: forward, backward, again and again, until somebody dies
worker1    the peer: half of each chain, passes the other half on
worker2    the third worker
"""

import contextlib
import mmap
import os
import random
import signal
import time
from dataclasses import dataclass

import psutil
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import ProcessExitedException
from nbgrad.rpc import state
from nbgrad.shm import words
from nbgrad.shm.layout import PAGE, PROGRESS, SENT_MESSAGES, Layout
from tests.signals import signals_to

WORLD = 3
VICTIMS = [1, 0, 1, 2]  # half of the runs kill the peer
N_CALLS = 30  # of one pass; each goes on to worker2 and comes back
SIZE = 2000
START_S = 30.0
END_S = 2.0  # from the kill to the end of the run
INSIDE = 0.8  # of the kills, at least
N_QUICK, N_LONG = 8, 100


# ---------------------------------------------------------------- in the workers


def times(x, w):
    return x * w


def stage(x, w):
    """Half of the work here, half on worker2."""
    return rpc.rpc_sync(2, times, (x + w, w))


def expected(n):
    """Value and gradient of a chain of n stages at x = w = 1 for x: d/dx of x -> (x + 1) is 1."""
    return n + 1.0, 1.0


def one_pass(progress, number):
    x, w = nb.ones(SIZE, requires_grad=True), nb.ones(SIZE, requires_grad=True)
    with dist_autograd.context() as context_id:
        h = x
        for _ in range(N_CALLS):
            h = rpc.rpc_sync(1, stage, (h, w))
        loss = h.sum()
        words.store(progress, 2 * number + 1)
        dist_autograd.backward(context_id, [loss])
        words.store(progress, 2 * number + 2)
        value, gradient = expected(N_CALLS)
        found = dist_autograd.get_gradients(context_id)
        if loss.item() != SIZE * value or not (found[x].array == gradient).all() or w not in found:
            raise AssertionError(f"wrong gradients in pass {number}: {found[x].array[:3]}")


def work(rank, folder):
    """A worker; what ends it goes to a file."""
    file = os.open(folder / f"{rank}", os.O_WRONLY | os.O_CREAT)
    try:
        rpc.init_rpc(f"worker{rank}", rank=rank, world_size=WORLD)
        if rank == 0:
            progress, number = state.agent().own + PROGRESS, 0
            while True:
                one_pass(progress, number)
                number += 1
        rpc.shutdown()
    except BaseException as error:
        os.write(file, f"{type(error).__name__}: {error}".encode())
        raise
    finally:
        os.close(file)


# ---------------------------------------------------------------- in pytest


class Words:
    """The workers' blocks of a group's segment, through a worker's descriptor."""

    def __init__(self, pid):
        self.layout = Layout(WORLD)
        descriptor = self.open(pid)
        try:
            self.map = mmap.mmap(descriptor, PAGE * (1 + WORLD), mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(descriptor)
        self.words = memoryview(self.map).cast("q")

    @staticmethod
    def open(pid):
        folder = f"/proc/{pid}/fd"
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}") == "/memfd:nbgrad (deleted)":
                    return os.open(f"{folder}/{name}", os.O_RDONLY)
        raise AssertionError("the worker has no segment")

    def __getitem__(self, place):
        rank, word = place
        return self.words[(self.layout.worker(rank) + word) // 8]

    def close(self):
        self.words.release()
        self.map.close()


@dataclass
class Run:
    """What one run showed."""

    victim: int
    is_inside: bool
    end_s: float
    seen: list  # by each survivor
    error: object
    left: list  # pids that outlived the run


def kill_in_a_pass(seed, victim, folder):
    """One run; the seed decides the moment."""
    moment = random.Random(seed)
    context = nb.multiprocessing.spawn(work, args=(folder,), nprocs=WORLD, join=False)
    pids = context.pids()
    processes = [psutil.Process(pid) for pid in [*pids, context.supervisor.pid]]
    with contextlib.ExitStack() as stack:
        stack.callback(context.stop)
        shared = Words(pids[0])
        stack.callback(shared.close)
        send = stack.enter_context(signals_to(pids[victim]))
        wait_for_moment(shared, victim, moment.randrange(3, 30), moment.randrange(N_CALLS))
        send(signal.SIGKILL)
        start, error = time.monotonic(), None
        try:
            assert context.join(timeout=START_S)
        except ProcessExitedException as found:
            error = found
        end_s = time.monotonic() - start
        is_inside = shared[0, PROGRESS] % 2 == 1  # the caller has not got past the pass
        seen = [(folder / f"{rank}").read_text() for rank in range(WORLD) if rank != victim]
        left = [process.pid for process in processes if process.is_running()]
        return Run(victim, is_inside, end_s, seen, error, left)


def wait_for_moment(shared, victim, number, n_messages):
    """Until, inside pass `number` or a later one, the victim has sent `n_messages`."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        inside = shared[0, PROGRESS]
        if inside < 2 * number + 1 or inside % 2 == 0:
            time.sleep(0)
            continue
        enough = shared[victim, SENT_MESSAGES] + n_messages
        while shared[0, PROGRESS] == inside:
            if shared[victim, SENT_MESSAGES] >= enough:
                return
    raise AssertionError("the passes don't start")


def check(run):
    name = f"worker{run.victim}"
    for text in run.seen:
        assert text.startswith("WorkerDied: "), text
        assert f"worker {name!r}" in text
        assert "SIGKILL" in text
    assert run.error.error_index == run.victim
    assert run.error.signal_name == "SIGKILL"
    assert run.end_s < END_S
    assert not run.left


def kill_often(n_runs, folder):
    runs = []
    for seed in range(n_runs):
        place = folder / f"{seed}"
        place.mkdir()
        runs.append(kill_in_a_pass(seed, VICTIMS[seed % len(VICTIMS)], place))
        check(runs[-1])
    return runs


@pytest.mark.timeout(300)
def test_a_death_inside_a_pass_ends_the_run_and_is_named(nothing_left, tmp_path):
    runs = kill_often(N_QUICK, tmp_path)
    assert sum(run.is_inside for run in runs) >= INSIDE * len(runs)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_100_deaths(nothing_left, tmp_path):
    runs = kill_often(N_LONG, tmp_path)
    inside = sum(run.is_inside for run in runs)
    longest = max(run.end_s for run in runs)
    print(f"{inside} of {len(runs)} inside a pass; the longest end took {longest:.3f} s")
    assert inside >= INSIDE * len(runs)
