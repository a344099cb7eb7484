"""How long does a step of an optimizer take on 4M float32 parameters?

Time of `optimizer.step()`; the gradient is there already, another one in each step.  The parameters after each block are
checked against the same steps in NumPy on a few elements.  The share of the triad compares nbgrad's step with a loop that
reads and writes as many arrays and computes next to nothing: what memory allows.
"""

import time

import common
import numpy as np
from sides import Absent

SIZE = 1 << 22
LOOK = slice(0, SIZE, SIZE // 7)
BETAS, EPS, MOMENTUM, LR = (0.9, 0.999), 1e-8, 0.9, 1e-3


def sgd_reference(p, g, state):
    state["m"] = MOMENTUM * state["m"] + g if "m" in state else g.copy()
    return p - LR * state["m"]


def adam_reference(p, g, state):
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = BETAS[0] * state.get("m", 0.0) + (1 - BETAS[0]) * g
    state["v"] = BETAS[1] * state.get("v", 0.0) + (1 - BETAS[1]) * g * g
    return p - LR / (1 - BETAS[0] ** t) * state["m"] / (
        np.sqrt(state["v"] / (1 - BETAS[1] ** t)) + EPS
    )


OPTIMIZERS = {  # name: (class, options, reference, arrays that are read, and of them written)
    "SGD, momentum": ("SGD", {"lr": LR, "momentum": MOMENTUM}, sgd_reference, 3, 2),
    "Adam": ("Adam", {"lr": LR}, adam_reference, 4, 3),
    "AdamW, decay 0": ("AdamW", {"lr": LR, "weight_decay": 0.0}, adam_reference, 4, 3),
}


def prepared(lib, name):
    """A function that makes one step, and one that checks all steps so far."""
    kind, options, reference = OPTIMIZERS[name][:3]
    rng = np.random.default_rng(0)
    start = rng.standard_normal(SIZE, np.float32)
    grads = [lib.tensor(rng.standard_normal(SIZE, np.float32)) for _ in range(2)]
    p = lib.nn.Parameter(lib.tensor(start))
    optimizer = getattr(lib.optim, kind)([p], **options)
    expected, state, n = start[LOOK].astype(np.float64), {}, 0

    def step():
        nonlocal expected, n
        p.grad = grads[n % 2]
        expected = reference(expected, grads[n % 2].numpy()[LOOK].astype(np.float64), state)
        n += 1
        begin = time.perf_counter_ns()
        optimizer.step()
        return time.perf_counter_ns() - begin

    def check():
        found = p.detach().numpy()[LOOK]
        if not np.allclose(found, expected, rtol=1e-4, atol=1e-5):
            raise AssertionError(f"{name}: parameters {found}, expected {expected}")

    return step, check


def steps(name):
    """Setup of a figure: steps of one optimizer."""

    def setup(lib):
        step, check = prepared(lib, name)

        def block(count):
            times = [step() for _ in range(count)]
            check()
            return times

        return block

    return setup


def share(name):
    """Setup of a figure: nbgrad's step and the triad in turn; the triad's time over the step's, in percent."""
    n_read, n_written = OPTIMIZERS[name][3:]

    def setup(lib):
        if lib.framework != "nbgrad":
            raise Absent("it is nbgrad's step that is compared with the triad")
        import numba

        step, check = prepared(lib, name)

        @numba.njit(fastmath=True)
        def triad3(g, p, m):
            for i in range(g.size):
                p[i] += g[i]
                m[i] -= g[i]

        @numba.njit(fastmath=True)
        def triad4(g, p, m, v):
            for i in range(g.size):
                p[i] += g[i]
                m[i] -= g[i]
                v[i] += g[i]

        triad = triad3 if n_written == 2 else triad4
        arrays = [np.ones(SIZE, np.float32) for _ in range(n_read)]
        triad(*arrays)

        def block(count):
            shares = []
            for _ in range(count):
                took = step()
                begin = time.perf_counter_ns()
                triad(*arrays)
                shares.append(100 * (time.perf_counter_ns() - begin) / took)
            check()
            return shares

        return block

    return setup


FIGURES = [
    common.Figure(f"{name}, step", steps(name), unit="ms", count=2, rounds=40, quick=6)
    for name in OPTIMIZERS
] + [
    common.Figure(f"{name}, share of the triad", share(name), unit="%", count=2, rounds=40, quick=6)
    for name in ("SGD, momentum", "Adam")
]

if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, common.simple_side(FIGURES))
