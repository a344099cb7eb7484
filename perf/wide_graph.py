"""How long does one distributed backward pass over a wide graph take?

    worker0                                          worker1
    y_k = rpc_sync(add, (x, y))  for k in 1..64  ->  add(x, y)
    loss = sum of all y_k
    backward(loss): 64 gradients go to worker1 and 128 come back, in one pass

"each" is per call.  The gradients of every pass are checked: 64 for x and for y.
"""

import time

import common
from groups import group_side

CALLS = 64


def add(x, y):
    return x + y


def wide(lib):
    """Setup of the figure: one pass over 64 calls to one worker."""
    x, y = lib.tensor([1.0], requires_grad=True), lib.tensor([1.0], requires_grad=True)
    rpc_sync, dist_autograd = lib.rpc.rpc_sync, lib.dist_autograd
    clock = time.perf_counter_ns

    def block(count):
        forward, backward = [], []
        for _ in range(count):
            start = clock()
            with dist_autograd.context() as context_id:
                loss = rpc_sync("worker1", add, args=(x, y))
                for _ in range(CALLS - 1):
                    loss = loss + rpc_sync("worker1", add, args=(x, y))
                loss = loss.sum()
                forward.append((clock() - start) / CALLS)
                start = clock()
                dist_autograd.backward(context_id, [loss])
                backward.append((clock() - start) / CALLS)
                gradients = dist_autograd.get_gradients(context_id)
                found = gradients[x].item(), gradients[y].item()
                if found != (CALLS, CALLS):
                    raise AssertionError(
                        f"gradients of x and y: {found}, expected {CALLS} for both"
                    )
        return {"backward": backward, "context+forward": forward}

    return block


FIGURES = [common.Figure("64 calls to one worker, each", wide, count=2, rounds=60, quick=6, warm=2)]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, group_side("wide_graph"), is_group=True)
