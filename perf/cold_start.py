"""How long until the first useful thing is done, counted from the start of the process, with warm caches?

    python start -> import -> MLP 784-512-10 -> one training step of batch 64 done    "first training step"
    python start -> import -> spawn N workers -> all have joined and answered a call  "N workers ready"

The import's CPU time is that of the import statement alone, user and system.  Each sample is a fresh process; one
process per side runs before the first round and is not counted, so files and compiled kernels are in their caches.
"""

import time
from pathlib import Path

import common
import numpy as np
from library import Library
from sides import Side, hello
from stats import compare, summary

WORKERS = 4
NOISE_NS = 1e6  # a difference of two starts that is smaller, or below 0, is noise


def run_step(framework):
    """In the child: import, build an MLP, train it for one step, tell the times."""
    before = time.process_time_ns()
    lib = Library(framework)
    import_ns = time.process_time_ns() - before
    nn = lib.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
    images = lib.from_numpy(np.ones((64, 784), np.float32))
    labels = lib.from_numpy(np.arange(64) % 10)
    loss = lib.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    ready_ns = time.monotonic_ns()
    hello(lib, import_ns=import_ns, ready_ns=ready_ns)


def answer():
    return True


def worker(rank, framework, n):
    lib = Library(framework)
    lib.rpc.init_rpc(f"worker{rank}", rank=rank, world_size=n)
    if rank == 0:
        for peer in range(1, n):
            lib.rpc.rpc_sync(f"worker{peer}", answer)
        hello(lib, ready_ns=time.monotonic_ns())
    lib.rpc.shutdown()


def run_workers(framework, n):
    """In the child: start `n` workers; worker0 tells when all have answered."""
    Library(framework).multiprocessing.spawn(worker, args=(framework, n), nprocs=n)


def fresh(place, folder, job):
    """One sample: start a process that does `job` ("step" or a number of workers); its answer."""
    label, framework, python, path = place
    side = Side(
        label, framework, python, __file__, folder, path=path, arguments=["--job", str(job)]
    )
    try:
        answered = side.wait_ready()
        side.child.wait(60)
    finally:
        side.close()
    return answered, answered["ready_ns"] - side.start_ns


def step_samples(place, folder):
    answered, ready_ns = fresh(place, folder, "step")
    return {"import, CPU time": answered["import_ns"], "first training step": ready_ns}


def worker_samples(place, folder):
    one, many = (fresh(place, folder, n)[1] for n in (1, WORKERS))
    return {
        "1 worker ready": one,
        f"{WORKERS} workers ready": many,
        "each further worker": max(many - one, NOISE_NS) / (WORKERS - 1),
    }


def measure(table, places, folder, job, n_rounds):
    """Rounds of one fresh process per side, and a second one of ours."""
    slots = [places[0], places[0], *places[1:]]
    rounds = []
    for k in range(n_rounds):
        row = [None] * len(slots)
        for s in np.random.default_rng(k).permutation(len(slots)):
            row[s] = job(slots[s], folder)
        rounds.append(row)
    for name in rounds[0][0]:
        values = np.array([[one[name] for one in row] for row in rounds], float)
        ours, again, other = values[:, 0], values[:, 1], values[:, -1]
        against_it = compare(ours, other, again)
        its = summary(other) if len(slots) == 3 else None
        table.row(name, "ms", summary(values[:, :2].ravel()), its, against_it, against_it.again)


def main():
    parser = common.flags(__doc__)
    parser.add_argument("--job", help=common.HIDDEN)
    options = parser.parse_args()
    if options.side:
        if options.job == "step":
            run_step(options.side)
        else:
            run_workers(options.side, int(options.job))
        return
    with common.workshop(__file__) as (stack, folder):
        places, against = common.both_places(options.against, stack, folder)
        table = common.Table(Path(__file__).name, against, options.json)
        for place in reversed(places):  # warms the caches; our versions win
            table.versions |= fresh(place, folder, "step")[0]["versions"]
        measure(table, places, folder, step_samples, 3 if options.quick else 20)
        measure(table, places, folder, worker_samples, 1 if options.quick else 10)


if __name__ == "__main__":
    main()
