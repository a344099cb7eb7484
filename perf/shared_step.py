"""How long does a step of Adam on 4M float32 parameters take when two workers bring the gradients?

    nbgrad    SharedParameters.step(): each worker updates half of the parameters, from both gradients, in one pass
    torch     all_reduce of the gradients on gloo, then Adam.step() of all parameters on both workers

Gradients are there already, another one in each step; both begin together, after a barrier.  The parameters are checked
against the same steps in NumPy on a few elements, and nbgrad's bytes against what one pass needs: per parameter each gradient
read, and parameter and both moments read and written.
"""

import time

import common
import numpy as np
from pairs import pair_side

SIZE = 1 << 22
LOOK = slice(0, SIZE, SIZE // 7)
BETAS, EPS, LR = (0.9, 0.999), 1e-8, 1e-3


def reference(p, g, state):
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = BETAS[0] * state.get("m", 0.0) + (1 - BETAS[0]) * g
    state["v"] = BETAS[1] * state.get("v", 0.0) + (1 - BETAS[1]) * g * g
    return p - LR / (1 - BETAS[0] ** t) * state["m"] / (
        np.sqrt(state["v"] / (1 - BETAS[1] ** t)) + EPS
    )


class Run:
    """Both members' gradients and parameters, and what the steps so far must have given."""

    def __init__(self, lib, options):
        self.lib, rank, self.world = lib, lib.dist.get_rank(), lib.dist.get_world_size()
        given = [
            [
                np.random.default_rng(10 * n + p).standard_normal(SIZE, np.float32)
                for p in range(self.world)
            ]
            for n in range(2)
        ]
        self.grads = [lib.tensor(pair[rank]) + 0.0 for pair in given]
        self.means = [np.mean([g[LOOK] for g in pair], 0, np.float64) for pair in given]
        start = np.random.default_rng(99).standard_normal(SIZE, np.float32)
        self.module = lib.nn.Module()
        self.module.p = lib.nn.Parameter(lib.tensor(start))
        self.expected, self.state, self.n = start[LOOK].astype(np.float64), {}, 0
        self.shared = None
        if lib.framework == "nbgrad":
            self.optimizer = lib.optim.Adam(self.module.parameters(), lr=LR)
            self.shared = lib.parallel.SharedParameters(self.module, self.optimizer)
        else:
            self.optimizer = lib.optim.Adam(self.module.parameters(), lr=LR, **options)

    def step(self):
        if self.shared is not None:
            self.shared.step()
            return
        gradient = self.module.p.grad
        self.lib.dist.all_reduce(gradient)
        gradient.div_(self.world)
        self.optimizer.step()

    def block(self, count):
        taken = []
        for _ in range(count):
            gradient = self.grads[self.n % 2]
            self.module.p.grad = gradient if self.shared is not None else gradient.clone()
            self.lib.dist.barrier()
            begin = time.perf_counter_ns()
            self.step()
            taken.append(time.perf_counter_ns() - begin)
            self.expected = reference(self.expected, self.means[self.n % 2], self.state)
            self.n += 1
        found = self.module.p.detach().numpy()[LOOK]
        if not np.allclose(found, self.expected, rtol=1e-4, atol=1e-5):
            raise AssertionError(f"parameters {found}, expected {self.expected}")
        if self.shared is not None:
            moved = self.shared.statistics().bytes_moved
            design = 4 * (self.world + 6) * SIZE // self.world * self.n
            if moved != design:
                raise AssertionError(f"{moved} bytes were moved, the design has {design}")
        return taken


def steps(**options):
    """Setup of a figure: steps of Adam; the options are torch's."""

    def setup(lib):
        runs = []

        def block(count):
            if not runs:  # both members meet here; `setup` runs on each when it likes
                runs.append(Run(lib, options))
            return runs[0].block(count)

        return block

    return setup


FIGURES = [
    common.Figure(
        f"4M parameters, {name}", steps(**options), unit="ms", count=3, rounds=30, quick=3, warm=1
    )
    for name, options in (
        ("torch's default Adam", {}),
        ("torch's fused Adam", {"fused": True}),
    )
]


if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, pair_side("shared_step"), is_group=True)
