"""A small problem that strategies train on, in one process and in several: the same batches, cut into parts."""

import numpy as np

import nbgrad as nb
from nbgrad.parallel import SharedParameters

BATCH, INPUTS, HIDDEN, CLASSES = (
    24,
    20,
    900,
    4,
)  # the first weight is larger than 64 KiB, all others are smaller
OPTIMIZERS = {
    "sgd": lambda params: nb.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "adam": lambda params: nb.optim.Adam(params, lr=1e-3),
    "adamw": lambda params: nb.optim.AdamW(params, lr=1e-3),
}


def model(dtype="float32", seed=0):
    """The same values in every process."""
    rng = np.random.default_rng(seed)
    made = nb.nn.Sequential(
        nb.nn.Linear(INPUTS, HIDDEN), nb.nn.Tanh(), nb.nn.Linear(HIDDEN, CLASSES)
    )
    made.to(np.dtype(dtype))
    for p in made.parameters():
        p.array[...] = rng.uniform(-0.2, 0.2, p.shape)
    return made


def started(kind="sgd", dtype="float32", seed=0, **options):
    """A model in shared memory, and its optimizer."""
    net = model(dtype, seed)
    optimizer = OPTIMIZERS[kind](net.parameters())
    return net, optimizer, SharedParameters(net, optimizer, **options)


def batch(step, dtype, rank=0, world=1):
    """Part `rank` of a batch."""
    rng = np.random.default_rng(1000 + step)
    x, y = rng.standard_normal((BATCH, INPUTS)), rng.integers(0, CLASSES, BATCH)
    part = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    return nb.tensor(x[part].astype(dtype)), nb.tensor(y[part])


def loss_of(net, step, dtype, rank=0, world=1):
    """Mean loss over that part."""
    x, y = batch(step, dtype, rank, world)
    return nb.nn.functional.cross_entropy(net(x), y)


def values(net):
    """Copies of all parameters."""
    return [p.detach().array.copy() for p in net.parameters()]


def alone(kind, dtype, n_steps, max_norm=None):
    """Parameters after training in one process."""
    net = model(dtype)
    optimizer = OPTIMIZERS[kind](net.parameters())
    for step in range(n_steps):
        optimizer.zero_grad()
        loss_of(net, step, dtype).backward()
        if max_norm is not None:
            nb.nn.utils.clip_grad_norm_(net.parameters(), max_norm)
        optimizer.step()
    return values(net)


def distance(found, wanted):
    """Largest difference over largest parameter, of the tensor where it is worst."""
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, wanted))


LIMIT = {"float32": 3e-5, "float64": 1e-12}
