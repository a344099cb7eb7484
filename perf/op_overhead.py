"""What does the engine cost per operation, where there is next to nothing to compute?

A chain of 1,000 operations, `y = y * w` and `y = y + b` in turn, on tensors of 1 and of 64 elements, in one
process; then the backward pass of its sum.  Time per operation, forward, backward and both.  The gradients of
every pass are checked.

"captured" is the same by `nb.compile`, against the same eager torch, or by --against jax against jax.jit.
"""

import time

import common
import jax_steps
from sides import Absent

OPERATIONS = 1000


def chain(size):
    """Setup of a figure: forward and backward of the chain on tensors of `size` elements."""

    def setup(lib):
        if lib.framework not in ("nbgrad", "torch"):
            raise Absent("it does not run eagerly")
        x, w, b = (lib.ones(size, requires_grad=True) for _ in range(3))
        pairs = range(OPERATIONS // 2)
        expected = (1.0, sum(range(1, len(pairs) + 1)), float(len(pairs)))  # w = b = 1: y counts up
        clock = time.perf_counter_ns

        def block(count):
            forward, backward, both = [], [], []
            for _ in range(count):
                x.grad = w.grad = b.grad = None
                start = clock()
                y = x
                for _ in pairs:
                    y = y * w
                    y = y + b
                loss = y.sum()
                middle = clock()
                loss.backward()
                end = clock()
                forward.append((middle - start) / OPERATIONS)
                backward.append((end - middle) / OPERATIONS)
                both.append((end - start) / OPERATIONS)
                found = tuple(leaf.grad[size - 1].item() for leaf in (x, w, b))
                if found != expected:
                    raise AssertionError(f"gradients of x, w, b: {found}, expected {expected}")
            return {"forward+backward": both, "forward": forward, "backward": backward}

        return block

    return setup


def captured(size):
    """Setup of a figure: replays of a recorded step, forward and backward of the chain; eager where there is no compile."""

    def setup(lib):
        if lib.framework == "torch.compile":
            raise Absent("it takes minutes to compile a chain")
        if lib.framework == "jax":
            return by_jax(lib, size)
        x, w, b = (lib.ones(size, requires_grad=True) for _ in range(3))
        pairs = range(OPERATIONS // 2)
        expected = (1.0, sum(range(1, len(pairs) + 1)), float(len(pairs)))
        clock = time.perf_counter_ns

        def step():
            y = x
            for _ in pairs:
                y = y * w
                y = y + b
            loss = y.sum()
            loss.backward()

        run = lib.captured(step)

        def block(count):
            both = []
            for _ in range(count):
                x.grad = w.grad = b.grad = None
                start = clock()
                run()
                both.append((clock() - start) / OPERATIONS)
                found = tuple(leaf.grad[size - 1].item() for leaf in (x, w, b))
                if found != expected:
                    raise AssertionError(f"gradients of x, w, b: {found}, expected {expected}")
            return both

        block(1)  # records
        if lib.framework == "nbgrad" and run.reason is not None:
            raise AssertionError(f"the chain was not captured: {run.reason}")
        return block

    return setup


def by_jax(lib, size):
    """The block of the captured figure, by jax.jit."""
    run = jax_steps.chain(lib.package, size, OPERATIONS)
    pairs = OPERATIONS // 2
    expected = (1.0, sum(range(1, pairs + 1)), float(pairs))
    clock = time.perf_counter_ns

    def block(count):
        both = []
        for _ in range(count):
            start = clock()
            grads = run()
            both.append((clock() - start) / OPERATIONS)
            found = tuple(float(g[size - 1]) for g in grads)
            if found != expected:
                raise AssertionError(f"gradients of x, w, b: {found}, expected {expected}")
        return both

    block(1)  # compiles
    return block


FIGURES = [
    common.Figure("1 element", chain(1), unit="us", count=1, rounds=200, quick=40),
    common.Figure("64 elements", chain(64), unit="us", count=1, rounds=200, quick=40),
    common.Figure("1 element, captured", captured(1), unit="us", count=1, rounds=200, quick=40),
    common.Figure("64 elements, captured", captured(64), unit="us", count=1, rounds=200, quick=40),
]

if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, common.simple_side(FIGURES))
