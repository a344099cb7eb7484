"""How long does one hop of a distributed backward pass take?

    worker0                      worker1
    h = rpc_sync(add, (h, y)) -> add(h, y)         n times, in one context: a chain of n calls
    backward(loss)
      gradient of h           -> vjp of add
      gradients of h and y    <-                   one hop: the backward of one call, two messages

A chain of n calls has n hops; "backward" is the time of `dist_autograd.backward` / n, without the context and the
forward calls, which have rows of their own.  The gradients of every pass are checked: 1 for x, n for y.
"""

import time

import common
from groups import group_side

SLEEP_S = 0.010


def add(x, y):
    return x + y


def chain(n, sleep_s=0.0):
    """Setup of a figure: passes over chains of `n` calls, workers idle for `sleep_s` before each backward."""

    def setup(lib):
        x, y = lib.tensor([1.0], requires_grad=True), lib.tensor([1.0], requires_grad=True)
        rpc_sync, dist_autograd = lib.rpc.rpc_sync, lib.dist_autograd
        clock = time.perf_counter_ns

        def block(count):
            forward, backward = [], []
            for _ in range(count):
                start = clock()
                with dist_autograd.context() as context_id:
                    h = x
                    for _ in range(n):
                        h = rpc_sync("worker1", add, args=(h, y))
                    loss = h.sum()
                    forward.append((clock() - start) / n)
                    if sleep_s:
                        time.sleep(sleep_s)
                    start = clock()
                    dist_autograd.backward(context_id, [loss])
                    backward.append((clock() - start) / n)
                    gradients = dist_autograd.get_gradients(context_id)
                    found = gradients[x].item(), gradients[y].item()
                    if found != (1.0, n):
                        raise AssertionError(f"gradients of x and y: {found}, expected {(1.0, n)}")
            return {"backward": backward, "context+forward": forward}

        return block

    return setup


APART = "apart: the fixed cost of a pass shows (1 hop), or the peer has to wake up (asleep)"
FIGURES = [
    common.Figure("4 hops, each", chain(4), count=10, rounds=200, quick=20, warm=5),
    common.Figure("16 hops, each", chain(16), count=4, rounds=150, quick=12, warm=3),
    common.Figure("64 hops, each", chain(64), count=2, rounds=60, quick=6, warm=2),
    common.Figure("1 hop", chain(1), count=20, rounds=200, quick=20, warm=10, note=APART),
    common.Figure("1 hop, asleep 10 ms", chain(1, SLEEP_S), count=2, rounds=80, quick=8, warm=2),
    common.Figure("16 hops, asleep 10 ms, each", chain(16, SLEEP_S), count=2, rounds=60, quick=6),
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, group_side("backward_hops"), is_group=True)
