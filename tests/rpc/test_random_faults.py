"""Random faults while workers call: each blocking call ends, in its value or a named error, within its bound; nothing is left.

pytest      at a random moment: kill -9, SIGSTOP and SIGCONT, or Ctrl-C, of a random worker
worker k    N_THREADS threads, the main one among them: nested calls, references forked and fetched, futures in chains,
            large arrays; each call noted if it lasted longer than its bound or raised what nobody named

After a kill every survivor has a WorkerDied and the run ends; after the others the group goes on and leaves in order.
"""

import contextlib
import json
import random
import signal
import threading
import time
from collections import Counter

import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import ProcessExitedException, RpcTimeout, RRefError, WorkerDied, WorkerHung
from tests.groups import eventually
from tests.signals import signals_to

WORLD, N_THREADS = 3, 3
TIMEOUT_S = 1.0  # of each call
BOUND_S = 4.0  # of each blocking call: two calls one after the other, and a machine that is busy
START_S, END_S = 60.0, 10.0
LOAD_S = 0.4  # that a group goes on after a fault
FAULTS = ["kill", "stop", "interrupt"]
NAMED = (RpcTimeout, WorkerHung, WorkerDied, RRefError)
SEEDS = range(6)
MANY_SEEDS = [range(first, first + 20) for first in range(6, 200, 20)]


# ---------------------------------------------------------------- in the workers


def hop(n, rest):
    """n calls further."""
    return n if not rest else rpc.rpc_sync(rest[0], hop, (n + 1, rest[1:]), timeout=TIMEOUT_S)


def make(k):
    return [k]


def look(rref):
    return rref.to_here(timeout=TIMEOUT_S)


def total(x):
    return float(x.sum())


def nested(draw):
    path = [draw.randrange(WORLD) for _ in range(draw.randrange(1, 5))]
    assert rpc.rpc_sync(path[0], hop, (1, path[1:]), timeout=TIMEOUT_S) == len(path)


def forked(draw):
    owner, user = draw.randrange(WORLD), draw.randrange(WORLD)
    rref = rpc.remote(owner, make, (5,), timeout=TIMEOUT_S)
    assert rpc.rpc_sync(user, look, (rref,), timeout=TIMEOUT_S) == [5]


def chained(draw):
    first = rpc.rpc_async(draw.randrange(WORLD), hop, (1, ()), timeout=TIMEOUT_S)
    to = draw.randrange(WORLD)
    second = first.then(lambda done: rpc.rpc_sync(to, hop, (done.value(), ()), timeout=TIMEOUT_S))
    assert second.wait() == 1


def large(draw):
    n = draw.choice([10, 30_000, 300_000])
    assert rpc.rpc_sync(draw.randrange(WORLD), total, (nb.ones(n),), timeout=TIMEOUT_S) == n


STEPS = [nested, forked, chained, large]


class Load:
    """The calls of one worker, and what came of them."""

    def __init__(self, folder):
        self.folder, self.ended = folder, threading.Event()
        self.counts = Counter()
        self.wrong = []  # calls that lasted too long, or ended in what nobody named
        self.died = ""

    def run(self, seed):
        draw = random.Random(seed)
        while not self.ended.is_set() and not self.died:
            self.step(draw.choice(STEPS), draw)

    def step(self, function, draw):
        start = time.monotonic()
        outcome = "value"
        try:
            function(draw)
        except WorkerDied as error:
            self.died, outcome = str(error), "WorkerDied"
        except (*NAMED, KeyboardInterrupt) as error:
            outcome = type(error).__name__
        except BaseException as error:
            self.wrong.append(f"{function.__name__} raised {error!r}")
        took_s = time.monotonic() - start
        if took_s > BOUND_S:
            self.wrong.append(f"{function.__name__} took {took_s:.2f} s to end in {outcome}")
        self.counts[outcome] += 1

    def tell(self, rank):
        told = {"counts": dict(self.counts), "wrong": self.wrong, "died": self.died}
        (self.folder / f"worker{rank}").write_text(json.dumps(told))


def work(rank, folder, seed):
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=WORLD)
    load = Load(folder)
    threads = [
        threading.Thread(target=load.run, args=(f"{seed} {rank} {k}",)) for k in range(1, N_THREADS)
    ]
    try:
        for thread in threads:
            thread.start()
        (folder / f"ready{rank}").touch()
        draw = random.Random(f"{seed} {rank}")
        while not load.died:
            try:
                if (folder / "end").exists():
                    break
                load.step(draw.choice(STEPS), draw)
            except KeyboardInterrupt:  # between two calls
                load.counts["KeyboardInterrupt"] += 1
    finally:
        load.ended.set()
        for thread in threads:
            thread.join()
        load.tell(rank)
    rpc.shutdown(timeout=END_S)


# ---------------------------------------------------------------- in pytest


def one_run(seed, fault, folder):
    """Start a group, let it call, do the fault, and check what everybody saw."""
    draw = random.Random(seed)
    victim = draw.randrange(WORLD)
    context = nb.multiprocessing.spawn(work, args=(folder, seed), nprocs=WORLD, join=False)
    with contextlib.ExitStack() as stack:
        stack.callback(context.stop)
        send = stack.enter_context(signals_to(context.pids()[victim]))
        ready = [folder / f"ready{rank}" for rank in range(WORLD)]
        assert eventually(lambda: all(path.exists() for path in ready), START_S)
        wait_until_random_moment(draw)
        if fault == "kill":
            send(signal.SIGKILL)
            with pytest.raises(ProcessExitedException) as caught:
                context.join(timeout=END_S)
            assert (caught.value.error_index, caught.value.signal_name) == (victim, "SIGKILL")
        else:
            disturb(fault, send, draw)
            (folder / "end").touch()
            assert context.join(timeout=2 * END_S), "the workers did not leave"
        return victim, [told(folder, rank) for rank in range(WORLD)]


def wait_until_random_moment(draw):
    threading.Event().wait(draw.uniform(0.02, 0.4))  # the moment is the test: nothing is waited for


def disturb(fault, send, draw):
    """A fault that the group survives, and some load after it."""
    if fault == "stop":
        send(signal.SIGSTOP)
        threading.Event().wait(draw.uniform(0.1, 1.5 * TIMEOUT_S))
        send(signal.SIGCONT)
    else:
        send(signal.SIGINT)
    threading.Event().wait(LOAD_S)


def told(folder, rank):
    path = folder / f"worker{rank}"
    return json.loads(path.read_text()) if path.exists() else None


def check(seed, fault, victim, seen):
    for rank, found in enumerate(seen):
        if fault == "kill" and rank == victim:
            assert found is None
            continue
        assert found is not None, f"seed {seed}: worker {rank} told nothing"
        assert not found["wrong"], f"seed {seed}, {fault} of worker {victim}: {found['wrong']}"
        assert found["counts"]["value"] > 0
        if fault == "kill":
            assert f"worker 'worker{victim}'" in found["died"]
            assert "SIGKILL" in found["died"]
        else:
            assert not found["died"]


def run_all(seeds, folder):
    for seed in seeds:
        place = folder / f"{seed}"
        place.mkdir()
        fault = FAULTS[seed % len(FAULTS)]
        victim, seen = one_run(seed, fault, place)
        print(seed, fault, victim, [found and found["counts"] for found in seen])
        check(seed, fault, victim, seen)


@pytest.mark.timeout(180)
def test_each_call_ends_whatever_happens_to_a_worker(nothing_left, tmp_path):
    run_all(SEEDS, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("seeds", MANY_SEEDS, ids=str)
def test_each_call_ends_whatever_happens_very_often(nothing_left, tmp_path, seeds):
    run_all(seeds, tmp_path)
