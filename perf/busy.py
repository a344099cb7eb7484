"""What do workers that wait take away from workers that compute, when there are more workers than cores?

    worker0, worker1     wait: worker0 for the answer of worker2, worker1 for that of worker3
    worker2, worker3     compute all the time, inside a call

"waiting worker, CPU per second"    CPU time of worker0 and of worker1, in ms per second (10 ms/s is 1 % of one core)
"iteration while others wait"       time of an iteration of worker2 and worker3, against rounds in which worker0 and worker1
                                    are stopped (SIGSTOP), so that they take nothing
"call to an idle neighbor"          worker1 calls worker0 every few ms; nobody waits for worker2 and worker3, which compute

The last is also measured for a call to worker3, whose interpreter computes meanwhile.
"""

import os
import signal
import sys
import time
from pathlib import Path

import common
import numpy as np
from library import Library
from sides import serve
from stats import compare, summary

WORKERS, WAITING, COMPUTING = 4, (0, 1), (2, 3)
RAMP_S = 0.3  # from the call to the beginning of what is counted
PAUSE_S = 0.005  # between calls
SIZE = 64


def iterations(start_s, seconds):
    """Compute until `start_s + seconds`; how many iterations fall between the two."""
    a = np.full((SIZE, SIZE), 1.0 / SIZE, np.float32)
    x, n, clock = a, 0, time.monotonic
    while clock() < start_s:
        x = x @ a
    end = start_s + seconds
    while clock() < end:
        x = x @ a
        n += 1
    return n


def wait_for(framework, rank, start_s, seconds):
    """On worker1: wait for the answer of a worker that computes; also the CPU time that the waiting took."""
    rpc = Library(framework).rpc
    before = time.process_time_ns()
    n = rpc.rpc_sync(f"worker{rank}", iterations, args=(start_s, seconds))
    return n, time.process_time_ns() - before


def nothing():
    return None


def calls_to(framework, rank, seconds):
    """On worker1: latencies in ns of calls to another worker."""
    rpc, clock = Library(framework).rpc, time.perf_counter_ns
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = clock()
        rpc.rpc_sync(f"worker{rank}", nothing)
        samples.append(clock() - start)
        time.sleep(PAUSE_S)
    return samples


class Work:
    """What worker2 and worker3 compute now, started by worker0, which does not wait for it yet."""

    def __init__(self, lib, seconds):
        self.start_s, self.seconds = time.monotonic() + RAMP_S, seconds
        self.futures = [
            lib.rpc.rpc_async(f"worker{rank}", iterations, args=(self.start_s, seconds))
            for rank in COMPUTING
        ]

    def times(self):
        """ns per iteration of both."""
        return [self.seconds * 1e9 / future.wait() for future in self.futures]


def waiting(lib):
    """Setup: a block of `count` ms in which worker0 and worker1 wait."""

    def block(count):
        start_s, seconds = time.monotonic() + RAMP_S, count / 1e3
        before = time.process_time_ns()
        other = lib.rpc.rpc_async("worker1", wait_for, args=(lib.framework, 3, start_s, seconds))
        n = [lib.rpc.rpc_sync("worker2", iterations, args=(start_s, seconds))]
        own = time.process_time_ns() - before
        more, its = other.wait()
        whole_s = seconds + RAMP_S
        return {
            "iteration": [seconds * 1e9 / k for k in (*n, more)],
            "CPU": [own / whole_s, its / whole_s],
        }

    return block


def alone(lib):
    """Setup: two blocks, count > 0 starts work of so many ms and returns, 0 waits for its end."""
    works = []

    def block(count):
        if count:
            works.append(Work(lib, count / 1e3))
            return {"started": [1.0]}
        return {"iteration": works.pop().times()}

    return block


def neighbors(lib):
    """Setup: a block of `count` ms in which worker1 calls worker0, and then worker3, while two workers compute."""

    def block(count):
        found = {}
        for name, rank in (("idle neighbor", 0), ("computing worker", 3)):
            work = Work(lib, count / 1e3)
            time.sleep(RAMP_S)
            caller = lib.rpc.rpc_async(
                "worker1", calls_to, args=(lib.framework, rank, 0.9 * count / 1e3)
            )
            time.sleep(count / 1e3)
            found[name] = caller.wait()
            work.times()
        return found

    return block


def pids(lib):
    """Setup: process ids of all workers, by rank."""
    return lambda count: {
        "pids": [lib.rpc.rpc_sync(f"worker{rank}", os.getpid) for rank in range(WORKERS)]
    }


FIGURES = [
    common.Figure("waiting", waiting, warm=0),
    common.Figure("alone", alone, warm=0),
    common.Figure("call to", neighbors, warm=0),
    common.Figure("pids", pids, warm=0),
]
WAITS, ALONE, NEIGHBORS, PIDS = range(4)


def worker(rank, framework):
    lib = Library(framework)
    lib.rpc.init_rpc(f"worker{rank}", rank=rank, world_size=WORKERS)
    if rank == 0:
        serve(FIGURES, lib)
    lib.rpc.shutdown()


def without_the_waiting(side, stopped, ms):
    """Iterations of worker2 and worker3 while worker0 and worker1 are stopped."""
    side.block(ALONE, ms)
    pidfds = [os.pidfd_open(pid) for pid in stopped]
    for pidfd in pidfds:
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
    try:
        time.sleep(ms / 1e3 + 1.1 * RAMP_S)
    finally:
        for pidfd in pidfds:
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
            os.close(pidfd)
    return side.block(ALONE, 0)["iteration"]


def measure(tables, side, ms, n_rounds):
    """Rounds of one block in which two wait and two in which they are stopped, in random order; then calls."""
    found = [int(pid) for pid in side.block(PIDS, 1)["pids"]]
    stopped = [found[rank] for rank in WAITING]
    times = [[[] for _ in range(n_rounds)] for _ in range(3)]
    cost = []
    side.block(WAITS, 200)  # functions are known by their numbers, kernels are loaded
    for k in range(n_rounds):
        for s in np.random.default_rng(k).permutation(3):
            if s == 2:
                block = side.block(WAITS, ms)
                cost += block["CPU"]
                times[s][k] = block["iteration"]
            else:
                times[s][k] = without_the_waiting(side, stopped, ms)
    cost, own = summary(cost), np.median(np.array(times), axis=-1)
    tables[0].row("waiting worker, CPU per second", "ms", cost, None, None, 1.0)
    against_it = compare(own[0], own[2], own[1])
    both = [
        summary(np.concatenate([np.ravel(times[s]) for s in group])) for group in ((0, 1), (2,))
    ]
    tables[1].row("iteration while others wait", "us", *both, against_it, against_it.again)
    latency = {}
    for _ in range(n_rounds):
        for name, samples in side.block(NEIGHBORS, max(ms // 4, 500)).items():
            latency.setdefault(name, []).append(samples)
    for name, blocks in latency.items():
        medians = np.array([np.median(block) for block in blocks])
        again = float(medians[-1] / medians[0])
        tables[0].row(f"call to {name}", "us", summary(np.concatenate(blocks)), None, None, again)


def main():
    parser = common.flags(__doc__, against="none")
    options = parser.parse_args()
    if options.side:
        Library(options.side).multiprocessing.spawn(worker, args=(options.side,), nprocs=WORKERS)
        return 0
    if options.against != "none":
        parser.error("this script compares nbgrad with itself: only --against none")
    with common.workshop(__file__) as (stack, folder):
        places, _ = common.both_places("none", stack, folder)
        sides, versions = common.started(stack, places, Path(__file__).resolve(), folder)
        names = (None, "waiting")
        tables = [common.Table(Path(__file__).name, name, options.json) for name in names]
        tables[
            1
        ].meaning = (
            "# ratio = time while others wait / time while they are stopped; A/A: stopped / stopped"
        )
        for table in tables:
            table.versions |= versions
        measure(tables, sides[0], *((500, 2) if options.quick else (10_000, 6)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
