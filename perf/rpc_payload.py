"""How fast do big arrays travel through a call, when both ends really read and write them?

    worker0                              worker1
    rpc_sync(total, (x,))            ->  reads all of x, returns its sum               "argument"
    rpc_sync(made, (n, value))       ->  makes a tensor of n values
    reads all of it                  <-  the tensor                                    "result"

x and the result have 1 KiB to 64 MiB of float32 and other values in every call; both sums are checked in every call.  x is new
memory each time, and making it is not timed.

"tensor": what operations make (nbgrad's lies in shared memory from 64 KiB on).  "ndarray": np.ndarray in private memory, for
torch a tensor over such an array as the argument, and any tensor as the result.

GB/s counts the payload once: 10^9 bytes of it per second of the whole call.
"""

import functools
import time

import common
import numpy as np
from groups import group_side
from library import Library

KIB, MIB = 1 << 10, 1 << 20
VALUE_BYTES = 4
TOLERANCE = 1e-3  # of float32 sums


def total(x):
    return x.sum()


@functools.cache
def library(framework):
    return Library(framework)


def made(framework, n, value):
    return library(framework).full((n,), float(value))


def made_ndarray(framework, n, value):
    return np.full(n, value, np.float32)


def new_tensor(lib, n, value):
    return lib.ones(n) * float(value)


def new_ndarray(lib, n, value):
    array = np.full(n, value, np.float32)
    return array if lib.framework == "nbgrad" else lib.from_numpy(array)


def check(what, found, n, value):
    if abs(float(found) - n * value) > TOLERANCE * n * value:
        raise AssertionError(f"{what}: the sum is {float(found)}, expected {n * value}")


def calls(size_bytes, is_tensor):
    """Setup of a figure: calls with arguments, and with results, of `size_bytes`."""
    n = size_bytes // VALUE_BYTES

    def setup(lib):
        rpc_sync, clock, framework = lib.rpc.rpc_sync, time.perf_counter_ns, lib.framework
        new = new_tensor if is_tensor else new_ndarray
        make = made if is_tensor or framework == "torch" else made_ndarray
        step = [0]

        def block(count):
            argument, result = [], []
            for _ in range(count):
                step[0] += 1
                value = step[0] % 7 + 1
                x = new(lib, n, value)
                start = clock()
                found = rpc_sync("worker1", total, args=(x,))
                argument.append(clock() - start)
                check("argument", found, n, value)
                del x
                start = clock()
                y = rpc_sync("worker1", make, args=(framework, n, value))
                found = y.sum()
                result.append(clock() - start)
                check("result", found, n, value)
                del y
            return {"argument": argument, "result": result}

        return block

    return setup


def figure(name, size_bytes, is_tensor, unit, count, rounds, quick):
    kind = "tensor" if is_tensor else "ndarray"
    return common.Figure(
        f"{name}, {kind}",
        calls(size_bytes, is_tensor),
        unit=unit,
        count=count,
        rounds=rounds,
        quick=quick,
        warm=2,
        size_bytes=size_bytes,
    )


SIZES = [
    ("1 KiB", KIB, "us", 10, 100, 10),
    ("64 KiB", 64 * KIB, "us", 10, 100, 10),
    ("1 MiB", MIB, "us", 5, 60, 6),
    ("16 MiB", 16 * MIB, "ms", 2, 30, 3),
    ("64 MiB", 64 * MIB, "ms", 1, 20, 2),
]
FIGURES = [
    figure(name, size_bytes, is_tensor, *rest)
    for is_tensor in (True, False)
    for name, size_bytes, *rest in SIZES
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, group_side("rpc_payload"), is_group=True)
