"""How long does the sum of two processes' tensors take, and how much of this machine's copy bandwidth is that?

    worker0                           worker1
    x = worker0's values              x = worker1's values
    all_reduce(x)              ◄─►    all_reduce(x)                 in place: x is the sum on both
    y = all_reduce_shared(x)   ◄─►    y = all_reduce_shared(x)      one result in shared memory that both read

The other side is torch on gloo, which has the first form only.  4 B to 10 kB are latencies, calls one after the other; larger
ones begin together, after a barrier, with new values, and n bytes in t s are n / t B/s.  "ordinary memory": tensors made of
NumPy arrays, which nbgrad takes through shared memory piece by piece; all others are born there.  Every result is checked on
both members, to the last bit.  "copy": both members copy as many bytes at once, memory that is in use already.
"""

import time

import common
import numpy as np
from pairs import pair_side

KB, MB = 1000 // 4, 1_000_000 // 4  # float32 values


def latency(n_values):
    """Setup of a figure: calls one after the other; each doubles the values."""

    def setup(lib):
        all_reduce, barrier = lib.dist.all_reduce, lib.dist.barrier

        def block(count):
            x = lib.ones(n_values)
            barrier()
            start = time.perf_counter_ns()
            for _ in range(count):
                all_reduce(x)
            taken = (time.perf_counter_ns() - start) / count
            if x.min().item() != 2.0**count or x.max().item() != 2.0**count:
                raise AssertionError(f"{count} sums of two: {x[0].item()}, expected {2.0**count}")
            return [taken]

        return block

    return setup


def bandwidth(n_values, shared=False, ordinary=False, copies=False):
    """Setup of a figure: sums that begin together, each of new values."""

    def setup(lib):
        rank, barrier = lib.dist.get_rank(), lib.dist.barrier
        in_place = lib.dist.all_reduce
        all_reduce = getattr(lib.dist, "all_reduce_shared", in_place) if shared else in_place
        pattern = np.arange(n_values, dtype=np.float32) % 1000
        mine = lib.from_numpy(pattern.copy())
        if not ordinary:
            mine = mine + 0.0  # the result of an operation: nbgrad's lies in shared memory
        base = lib.from_numpy(pattern)
        aside, step = np.zeros_like(pattern), [0]

        def fill():
            """Values of this rank and this step, into memory that stays where it is."""
            mine.copy_(base)
            mine.add_(float(rank * 1000 + step[0]))

        def block(count):
            taken, copied = [], []
            for _ in range(count):
                step[0] = (step[0] + 1) % 100
                fill()
                barrier()
                start = time.perf_counter_ns()
                result = all_reduce(mine)
                taken.append(time.perf_counter_ns() - start)
                found = mine if result is None else result
                found = found.array if lib.framework == "nbgrad" else found.numpy()
                wanted = pattern * 2 + np.float32(1000 + 2 * step[0])
                if not np.array_equal(found, wanted):
                    raise AssertionError("the sum is wrong")
                if copies:
                    barrier()
                    start = time.perf_counter_ns()
                    np.copyto(aside, pattern)
                    copied.append(time.perf_counter_ns() - start)
            return {"": taken, "copy": copied} if copies else taken

        return block

    return setup


FIGURES = [
    common.Figure("4 B", latency(1), count=100, rounds=200, quick=15, warm=20),
    common.Figure("1 kB", latency(KB), count=100, rounds=200, quick=15, warm=20),
    common.Figure("10 kB", latency(10 * KB), count=100, rounds=200, quick=15, warm=20),
    common.Figure("100 kB, in place", bandwidth(100 * KB), count=10, rounds=60, quick=6, warm=3),
    common.Figure("1 MB, in place", bandwidth(MB), count=10, rounds=60, quick=6, warm=3),
    common.Figure(
        "10 MB, in place", bandwidth(10 * MB), unit="ms", count=4, rounds=40, quick=4, warm=2
    ),
    common.Figure(
        "10 MB, in place, ordinary memory",
        bandwidth(10 * MB, ordinary=True),
        unit="ms",
        count=4,
        rounds=40,
        quick=4,
        warm=2,
    ),
    common.Figure(
        "10 MB, shared result",
        bandwidth(10 * MB, shared=True, copies=True),
        unit="ms",
        count=4,
        rounds=40,
        quick=4,
        warm=2,
    ),
    common.Figure(
        "100 MB, in place", bandwidth(100 * MB), unit="ms", count=1, rounds=20, quick=2, warm=1
    ),
    common.Figure(
        "100 MB, shared result",
        bandwidth(100 * MB, shared=True, copies=True),
        unit="ms",
        count=1,
        rounds=20,
        quick=2,
        warm=1,
    ),
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, pair_side("allreduce"), is_group=True)
