"""Operations that make one pass over memory: gelu, layer norm, softmax cross-entropy, bias and relu, on 4M float32.

Time of forward and backward of one operation; a gradient of all inputs.  Results of both sides are checked against the
same formulas in NumPy on a few rows.  Bandwidth is what the operation must at least read and write (inputs, outputs,
gradients), as a share of what `np.copyto` moves on this machine in the same run.  --against jax compares with jax.jit.
"""

import time

import common
import jax_steps
import numpy as np
from sides import Absent

ROWS, COLUMNS = 4096, 1024
LOOK = slice(0, ROWS, ROWS // 3)


def erf(x):
    from math import erf as one

    return np.vectorize(one)(x)


def gelu(lib, x, b):
    return lib.functional.gelu(x)


def gelu_reference(x, b, g):
    cdf = (1 + erf(x / 2**0.5)) / 2
    return g * (cdf + x * np.exp(-x * x / 2) / (2 * np.pi) ** 0.5)


def layer_norm(lib, x, b):
    return lib.functional.layer_norm(x, (COLUMNS,), lib.ones_like(b), b)


def layer_norm_reference(x, b, g):
    d = x - x.mean(1, keepdims=True)
    s = 1 / np.sqrt((d * d).mean(1, keepdims=True) + 1e-5)
    y = d * s
    return s * (g - g.mean(1, keepdims=True) - y * (g * y).mean(1, keepdims=True))


def bias_relu(lib, x, b):
    if hasattr(lib.functional, "bias_activation"):
        return lib.functional.bias_activation(x, b, "relu")
    return lib.functional.relu(x + b)


def bias_relu_reference(x, b, g):
    return g * (x + b > 0)


def cross_entropy(lib, x, labels):
    return lib.functional.cross_entropy(x, labels)


def cross_entropy_reference(x, labels, g):
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    p[np.arange(len(x)), labels] -= 1
    return g * p / ROWS


OPERATIONS = {  # name: (function, gradient of x, arrays of x's size that must be read or written)
    "gelu": (gelu, gelu_reference, 5),
    "layer norm": (layer_norm, layer_norm_reference, 5),
    "softmax cross-entropy": (cross_entropy, cross_entropy_reference, 3),
    "bias and relu": (bias_relu, bias_relu_reference, 5),
}


def prepared(lib, name):
    """A function that runs forward and backward once and returns the time, and one that checks the last gradient."""
    function, reference, _ = OPERATIONS[name]
    if (
        name == "layer norm"
        and lib.framework == "nbgrad"
        and not hasattr(lib.functional, "layer_norm")
    ):
        raise Absent("there is no layer norm")
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((ROWS, COLUMNS), np.float32) for _ in range(2)]
    g = rng.standard_normal((ROWS, COLUMNS), np.float32)
    if name == "softmax cross-entropy":
        b = rng.integers(0, COLUMNS, ROWS)
        g = np.ones(1, np.float32)
    else:
        b = rng.standard_normal(COLUMNS, np.float32)
    if lib.framework == "jax":
        run, last = by_jax(lib, name, inputs, b, g)
    else:
        run, last = by_tensors(lib, function, inputs, b, g)

    def check():
        n, gradient = last()
        rows = inputs[n % 2][LOOK].astype(np.float64)
        seconds = b[LOOK] if b.dtype == np.int64 else b.astype(np.float64)
        expected = reference(rows, seconds, g[LOOK] if g.ndim > 1 else g)
        found = gradient[LOOK]
        if not np.allclose(found, expected, rtol=1e-3, atol=1e-5):
            raise AssertionError(f"{name}: gradients {found}, expected {expected}")

    return run, check


def by_jax(lib, name, inputs, b, g):
    """The run, and a function that gives its number and gradient, by jax.jit."""
    runs = [jax_steps.fused(lib.package, name, x, b, g if g.ndim > 1 else g[0]) for x in inputs]
    n, found = 0, None

    def run():
        nonlocal n, found
        n += 1
        found = None  # as a tensor's old gradient
        begin = time.perf_counter_ns()
        found = runs[n % 2]()
        return time.perf_counter_ns() - begin

    return run, lambda: (n, np.asarray(found))


def by_tensors(lib, function, inputs, b, g):
    """The same for tensors that carry gradients."""
    second = lib.tensor(b, requires_grad=b.dtype != np.int64)
    leaves = [lib.tensor(x, requires_grad=True) for x in inputs]
    cotangent = lib.tensor(g if g.ndim > 1 else g[0])
    n = 0

    def run():
        nonlocal n
        n += 1
        x = leaves[n % 2]
        x.grad = None
        if second.requires_grad:
            second.grad = None
        begin = time.perf_counter_ns()
        y = function(lib, x, second)
        y.backward(cotangent)
        return time.perf_counter_ns() - begin

    return run, lambda: (n, leaves[n % 2].grad.numpy())


def runs(name):
    """Setup of a figure: forward and backward of one operation."""

    def setup(lib):
        run, check = prepared(lib, name)

        def block(count):
            times = [run() for _ in range(count)]
            check()
            return times

        return block

    return setup


def share(name):
    """Setup of a figure: nbgrad's operation and a copy in turn; bytes per second of the first over the second's, in %."""
    n_arrays = OPERATIONS[name][2]

    def setup(lib):
        if lib.framework != "nbgrad":
            raise Absent("it is nbgrad's operation that is compared with a copy")
        run, check = prepared(lib, name)
        source, target = (np.ones((ROWS, COLUMNS), np.float32) for _ in range(2))

        def block(count):
            shares = []
            for _ in range(count):
                took = run()
                begin = time.perf_counter_ns()
                np.copyto(target, source)
                copying = time.perf_counter_ns() - begin  # of two arrays
                shares.append(100 * (n_arrays / took) / (2 / copying))
            check()
            return shares

        return block

    return setup


FIGURES = [
    common.Figure(name, runs(name), unit="ms", count=2, rounds=40, quick=5) for name in OPERATIONS
] + [
    common.Figure(
        f"{name}, share of a copy's bandwidth",
        share(name),
        unit="%",
        count=2,
        rounds=40,
        quick=5,
    )
    for name in OPERATIONS
]

if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, common.simple_side(FIGURES))
