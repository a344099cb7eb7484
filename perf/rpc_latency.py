"""How long does a call of a Python function on a 1-element tensor take, from one process to another?

    worker0                 worker1
    rpc_sync(add, (x, y)) -> add(x, y)
                          <- result          one sample

Three figures: one call at a time; 100 in flight (time / 100); one call after the peer has slept 10 ms.
"""

import time

import common
from groups import group_side
from sides import per_item

IN_FLIGHT = 100
SLEEP_S = 0.010


def add(x, y):
    return x + y


def operands(lib):
    return lib.tensor([1.0]), lib.tensor([2.0])


def one_call(lib):
    x, y = operands(lib)
    rpc_sync = lib.rpc.rpc_sync
    if rpc_sync("worker1", add, args=(x, y)).item() != 3.0:
        raise AssertionError("1 + 2 came back as something else")

    return lambda count: per_item(count, lambda: rpc_sync("worker1", add, args=(x, y)))


def in_flight(lib):
    x, y = operands(lib)
    rpc_async = lib.rpc.rpc_async

    def burst():
        futures = [rpc_async("worker1", add, args=(x, y)) for _ in range(IN_FLIGHT)]
        for future in futures:
            future.wait()

    return lambda count: [ns / IN_FLIGHT for ns in per_item(count, burst)]


def after_sleep(lib):
    x, y = operands(lib)
    rpc_sync = lib.rpc.rpc_sync

    def block(count):
        samples = []
        for _ in range(count):
            time.sleep(SLEEP_S)
            samples += per_item(1, lambda: rpc_sync("worker1", add, args=(x, y)))
        return samples

    return block


FIGURES = [
    common.Figure("rpc_sync", one_call, count=20, rounds=1000, quick=60, warm=5),
    common.Figure("rpc_async, 100 in flight, each", in_flight, count=1, rounds=200, quick=20),
    common.Figure("rpc_sync, peer asleep 10 ms", after_sleep, count=5, rounds=60, quick=8, warm=1),
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, group_side("rpc_latency"), is_group=True)
