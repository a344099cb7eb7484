"""What does a group cost that does nothing, and how long does the first call take after it?

    launcher, supervisor, 4 workers    all wait for 10 s: CPU time of all of them together, user and system
    then                               worker0 calls one of the others once: one sample

"CPU" is ms of CPU time per second: 10 ms/s is 1 % of one core.  Compiled kernels and caches are warm before.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

import common
import numpy as np
from library import Library
from sides import serve
from stats import compare, summary

WORKERS = 4
IDLE_S, QUICK_IDLE_S = 10.0, 1.0


def add(x, y):
    return x + y


def one_call(lib):
    """Setup: a block is one call, to another worker than the last time."""
    x, y = lib.tensor([1.0]), lib.tensor([2.0])
    step = [0]

    def block(count):
        samples = []
        for _ in range(count):
            step[0] += 1
            peer = f"worker{1 + step[0] % (WORKERS - 1)}"
            start = time.perf_counter_ns()
            lib.rpc.rpc_sync(peer, add, args=(x, y))
            samples.append(time.perf_counter_ns() - start)
        return samples

    return block


FIGURES = [common.Figure("rpc_sync", one_call, warm=0, count=1)]


def worker(rank, framework):
    lib = Library(framework)
    lib.rpc.init_rpc(f"worker{rank}", rank=rank, world_size=WORKERS)
    if rank == 0:
        serve(FIGURES, lib)
    lib.rpc.shutdown()


def cpu_ns(pids):
    """CPU time that the processes have used, all threads together."""
    total = 0
    for pid in pids:
        with suppress(OSError):  # it has ended
            total += time.clock_gettime_ns(~pid << 3 | 2)  # the clock of clock_getcpuclockid(pid)
    return total


def sample(side, idle_s):
    """(CPU ns per second while idle, ns of the call after it)."""
    before, start = cpu_ns(side.pids), time.monotonic()
    time.sleep(idle_s)
    cost = (cpu_ns(side.pids) - before) / (time.monotonic() - start)
    (taken,) = side.block(0, 1)[""]
    return cost, taken


def measure(table, sides, idle_s, n_rounds):
    """Idle times of the sides in turn, ours twice a round."""
    slots = [sides[0], sides[0], *sides[1:]]
    for side in sides:
        for _ in range(3 * WORKERS):
            side.block(0, 1)
    found = np.empty((n_rounds, len(slots), 2))
    for k in range(n_rounds):
        for s in np.random.default_rng(k).permutation(len(slots)):
            for other in sides:
                other.thaw() if other is slots[s] else other.freeze()
            time.sleep(0.3)
            found[k, s] = sample(slots[s], idle_s)
    for what, unit, name in (
        (0, "ms", f"{WORKERS} idle workers, CPU per second"),
        (1, "us", f"rpc_sync after {idle_s:.0f} s"),
    ):
        values = np.maximum(found[:, :, what], 1.0)
        ours, other = summary(values[:, :2].ravel()), summary(values[:, -1])
        against_it = compare(values[:, 0], values[:, -1], values[:, 1])
        table.row(
            name, unit, ours, other if len(slots) == 3 else None, against_it, against_it.again
        )


def main():
    options = common.flags(__doc__).parse_args()
    if options.side:
        Library(options.side).multiprocessing.spawn(worker, args=(options.side,), nprocs=WORKERS)
        return 0
    with common.workshop(__file__) as (stack, folder):
        places, against = common.both_places(options.against, stack, folder)
        table = common.Table(Path(__file__).name, against, options.json)
        sides, versions = common.started(stack, places, Path(__file__).resolve(), folder, True)
        table.versions |= versions
        measure(table, sides, *((QUICK_IDLE_S, 2) if options.quick else (IDLE_S, 12)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
