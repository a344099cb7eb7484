"""The figures of regress.py: each kernel through the operation that calls it, and the paths between processes.

Kernels run on 16,000 float32 (64 kB), so the kernel and not the call around it decides, and warm memory of the heap is
used.  "vjp" calls the VJP of the node alone, without the engine.  A figure that a revision lacks is skipped, so a
new operation adds a line here and older revisions stay comparable.
"""

import functools
import random

import backward_hops
import common
import encode
import numpy as np
import op_overhead
import rpc_latency
from sides import per_block

ROWS, COLUMNS = 80, 200
DTYPE = np.float32


@functools.cache
def drawn(shape, low, high, seed):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(DTYPE)


def values(*shape, low=-2.0, high=2.0, seed=0):
    """Random numbers, the same in every call, at a random place: Note [Where memory lies] in sides.py."""
    numbers = drawn(shape, low, high, seed)
    room = np.empty(numbers.size + 1024, DTYPE)
    start = random.randrange(0, 1024, 4)
    placed = room[start : start + numbers.size].reshape(shape)
    placed[...] = numbers
    return placed


def forward(make):
    """Setup: time the operation itself.  `make(lib)` gives (operation, *tensors)."""

    def setup(lib):
        operation, *inputs = make(lib)
        operation(*inputs)
        return lambda count: per_block(count, lambda: operation(*inputs))

    return setup


def vjp(make):
    """Setup: time the operation's VJP."""

    def setup(lib):
        operation, *inputs = make(lib)
        y = operation(*inputs)
        node = y.grad_fn
        pull, residuals = node.vjp, node.residuals
        g = values(*y.shape, seed=3)
        return lambda count: per_block(count, lambda: pull(residuals, g))

    return setup


def pair(name, make):
    """Forward and VJP of one operation."""
    return [
        common.Figure(name, forward(make), count=1, rounds=200, quick=80, warm=2, renew=5),
        common.Figure(f"{name} vjp", vjp(make), count=1, rounds=200, quick=80, warm=2, renew=5),
    ]


def tensor(lib, *shape, **how):
    return lib.from_numpy(values(*shape, **how)).requires_grad_()


def pointwise(name, low=-2.0, high=2.0):
    """A function of one tensor: `nb.<name>`, or `functional.<name>`."""

    def make(lib):
        operation = getattr(lib.package, name, None) or getattr(lib.functional, name)
        return operation, tensor(lib, ROWS, COLUMNS, low=low, high=high)

    return pair(name, make)


def binary(name):
    return pair(
        name,
        lambda lib: (
            getattr(lib, name),
            tensor(lib, ROWS, COLUMNS, low=0.5),
            tensor(lib, ROWS, COLUMNS, low=0.5, seed=1),
        ),
    )


def reduction(name):
    return pair(name, lambda lib: (lambda x: getattr(x, name)(), tensor(lib, ROWS, COLUMNS)))


def labels(lib):
    return lib.from_numpy(np.arange(ROWS) % COLUMNS)


def add_row(lib):
    return lib.add, tensor(lib, ROWS, COLUMNS), tensor(lib, COLUMNS)


def rows(name):
    """A function of the last dimension."""

    def make(lib):
        f = getattr(lib.functional, name)
        return lambda x: f(x, dim=-1), tensor(lib, ROWS, COLUMNS)

    return pair(name, make)


def cross_entropy(lib):
    target, f = labels(lib), lib.functional.cross_entropy
    return lambda x: f(x, target), tensor(lib, ROWS, COLUMNS)


def mse_loss(lib):
    target, f = lib.from_numpy(values(ROWS, COLUMNS, seed=1)), lib.functional.mse_loss
    return lambda x: f(x, target), tensor(lib, ROWS, COLUMNS)


def layer_norm(lib):
    f = lib.functional.layer_norm
    weight, bias = tensor(lib, COLUMNS), tensor(lib, COLUMNS)
    return lambda x, w, b: f(x, (COLUMNS,), w, b), tensor(lib, ROWS, COLUMNS), weight, bias


def linear(lib):
    f = lib.functional.linear
    return f, tensor(lib, 64, 128), tensor(lib, 64, 128, seed=1), tensor(lib, 64)


def conv2d(lib):
    f = lib.functional.conv2d
    weight, bias = tensor(lib, 8, 4, 3, 3), tensor(lib, 8)
    return lambda x, w, b: f(x, w, b, padding=1), tensor(lib, 4, 4, 16, 16), weight, bias


def pool(name):
    def make(lib):
        f = getattr(lib.functional, name)
        return lambda x: f(x, 2), tensor(lib, 4, 8, 28, 28)

    return pair(name, make)


def optimizer(name, **options):
    """Setup: one step over one parameter."""

    def setup(lib):
        parameter = lib.nn.Parameter(lib.from_numpy(values(ROWS, COLUMNS)))
        parameter.grad = lib.from_numpy(values(ROWS, COLUMNS, seed=1))
        step = getattr(lib.optim, name)([parameter], lr=1e-4, **options).step
        return lambda count: per_block(count, step)

    title = " ".join([f"{name} step", *options])
    return [common.Figure(title, setup, count=1, rounds=200, quick=80, warm=2, renew=5)]


def two(lib):
    return tensor(lib, ROWS // 2, COLUMNS), tensor(lib, ROWS // 2, COLUMNS, seed=1)


def gelu_tanh(lib):
    f = lib.functional.gelu
    return lambda x: f(x, approximate="tanh"), tensor(lib, ROWS, COLUMNS)


def index_select(lib):
    rows = lib.from_numpy(np.random.default_rng(2).permutation(ROWS))
    return lambda x: lib.index_select(x, 0, rows), tensor(lib, ROWS, COLUMNS)


POINTWISE = [
    "relu",
    "leaky_relu",
    "elu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "gelu",
    "exp",
    "abs",
    "neg",
    "sin",
]
POSITIVE = ["log", "sqrt", "rsqrt", "reciprocal"]
BINARY = ["add", "sub", "mul", "div", "pow", "maximum"]
KERNELS = [
    *(figure for name in POINTWISE for figure in pointwise(name)),
    *(figure for name in POSITIVE for figure in pointwise(name, low=0.5)),
    *(figure for name in BINARY for figure in binary(name)),
    *pair("add a row", add_row),
    *(figure for name in ("sum", "mean", "max") for figure in reduction(name)),
    *rows("softmax"),
    *rows("log_softmax"),
    *pair("logsumexp", lambda lib: (lambda x: x.logsumexp(1), tensor(lib, ROWS, COLUMNS))),
    *pair("gelu, tanh form", gelu_tanh),
    *pair("clamp", lambda lib: (lambda x: x.clamp(-1.0, 1.0), tensor(lib, ROWS, COLUMNS))),
    *pair("index_select", index_select),
    *pair("cat", lambda lib: (lambda x, y: lib.cat([x, y]), *two(lib))),
    *pair("cross_entropy", cross_entropy),
    *pair("mse_loss", mse_loss),
    *pair("layer_norm", layer_norm),
    *pair("linear", linear),
    *pair("conv2d", conv2d),
    *pool("max_pool2d"),
    *pool("avg_pool2d"),
    *optimizer("SGD"),
    *optimizer("SGD", momentum=0.9),
    *optimizer("Adam"),
    *optimizer("AdamW"),
    common.Figure("op, 1 element", op_overhead.chain(1), count=1, rounds=100, quick=30),
]
GROUP = [
    *encode.FIGURES,
    common.Figure("rpc_sync", rpc_latency.one_call, count=10, rounds=200, quick=60, warm=5),
    common.Figure("rpc_async, 100 in flight", rpc_latency.in_flight, count=1, rounds=100, quick=30),
    common.Figure("4 hops, each", backward_hops.chain(4), count=4, rounds=100, quick=30, warm=3),
    common.Figure("16 hops, each", backward_hops.chain(16), count=2, rounds=100, quick=30, warm=2),
]
