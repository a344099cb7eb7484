"""How long does a remote call with a big activation take, forward and backward?

    worker0                                 worker1
    y = rpc_sync(double, (x,))          ->  x + x
    backward(y.sum())                   <-  the gradient of y goes there, that of x comes back

x has 1, 16 or 64 MiB of float32 and other values in every pass; the gradient of x is checked in every pass (2 everywhere), and
the loss against the sum of x.  x is made by an operation, so nbgrad's lies in shared memory; for nbgrad the script also
fails if the transport copied a byte of it.
"""

import time

import common
from groups import group_side

MIB = 1 << 18  # float32 values


def double(x):
    return x + x


def passes(n_values):
    """Setup of a figure: passes with one activation of `n_values`."""

    def setup(lib):
        base = lib.ones(n_values)
        rpc_sync, dist_autograd = lib.rpc.rpc_sync, lib.dist_autograd
        statistics = getattr(lib.rpc, "statistics", None)
        clock = time.perf_counter_ns
        step = [0]

        def block(count):
            taken = []
            for _ in range(count):
                step[0] += 1
                value = step[0] % 7 + 1
                x = (base * value).detach().requires_grad_()
                before = statistics().bytes_copied if statistics else 0
                start = clock()
                with dist_autograd.context() as context_id:
                    loss = rpc_sync("worker1", double, args=(x,)).sum()
                    dist_autograd.backward(context_id, [loss])
                    gradient = dist_autograd.get_gradients(context_id)[x]
                    taken.append(clock() - start)
                    if statistics and statistics().bytes_copied - before > 4096:
                        raise AssertionError(
                            f"{statistics().bytes_copied - before} bytes were copied"
                        )
                    if gradient.min().item() != 2 or gradient.max().item() != 2:
                        raise AssertionError("the gradient of x is not 2 everywhere")
                    if loss.item() != 2 * value * n_values:
                        raise AssertionError(f"loss {loss.item()}, expected {2 * value * n_values}")
                    del gradient
            return taken

        return block

    return setup


FIGURES = [
    common.Figure("1 MiB", passes(MIB), unit="ms", count=4, rounds=60, quick=6, warm=2),
    common.Figure("16 MiB", passes(16 * MIB), unit="ms", count=2, rounds=30, quick=4, warm=1),
    common.Figure("64 MiB", passes(64 * MIB), unit="ms", count=1, rounds=20, quick=2, warm=1),
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, group_side("payload"), is_group=True)
