"""Every synchronous strategy: N workers on batches of B/N give the parameters of one process on batches of B.

The slow form prints the largest differences: `pytest -m slow -s tests/parallel/test_as_one_process.py`.
"""

import itertools

import numpy as np
import pytest

from nbgrad import dist_autograd, nn, optim, rpc
from nbgrad.parallel import (
    DistributedDataParallel,
    ParameterServer,
    Pipeline,
    SharedParameters,
    Trainer,
)
from tests.collectives.everywhere import everywhere
from tests.groups import fresh
from tests.parallel.problem import LIMIT, OPTIMIZERS, batch, distance, values

SIZES = (
    20,
    300,
    60,
    60,
    4,
)  # four blocks, of which a worker may have one; the first weight is sent without a copy
KINDS = {  # for optimizers that live elsewhere
    "sgd": (optim.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}),
    "adam": (optim.Adam, {"lr": 1e-3}),
}
SHORT, LONG = 12, 200  # steps


def block(number, dtype):
    """The same values in every process."""
    rng = np.random.default_rng(number)
    linear = nn.Linear(SIZES[number], SIZES[number + 1]).to(np.dtype(dtype))
    for p in linear.parameters():
        p.array[...] = rng.uniform(-0.2, 0.2, p.shape)
    return nn.Sequential(linear, nn.Tanh()) if number < 3 else nn.Sequential(linear)


def stage(dtype, k, n):
    """Part k of n of the model."""
    return nn.Sequential(*[block(b, dtype) for b in range(4 * k // n, 4 * (k + 1) // n)])


def whole(dtype):
    return stage(dtype, 0, 1)


def one_process(kind, dtype, n_steps):
    net = whole(dtype)
    optimizer = OPTIMIZERS[kind](net.parameters())
    for step in range(n_steps):
        x, y = batch(step, dtype)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return values(net)


# ---------------------------------------------------------------- strategies: on each worker, (its parameters, or None)


def ddp(rank, world, kind, dtype, n_steps):
    net = whole(dtype)
    optimizer = OPTIMIZERS[kind](net.parameters())
    averaged = DistributedDataParallel(net)
    for step in range(n_steps):
        x, y = batch(step, dtype, rank, world)
        optimizer.zero_grad()
        nn.functional.cross_entropy(averaged(x), y).backward()
        optimizer.step()
    averaged.close()
    return values(net)


def shared(rank, world, kind, dtype, n_steps):
    net = whole(dtype)
    made = SharedParameters(net, OPTIMIZERS[kind](net.parameters()))
    for step in range(n_steps):
        x, y = batch(step, dtype, rank, world)
        made.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        made.step()
    found = values(net)
    made.close()
    return found


def pipeline(rank, world, kind, dtype, n_steps):
    part = stage(dtype, rank, world)
    optimizer = OPTIMIZERS[kind](part.parameters())
    made = Pipeline(part, 4, nn.functional.cross_entropy)
    for step in range(n_steps):
        optimizer.zero_grad()
        made.step(*batch(step, dtype))
        optimizer.step()
    return values(part)


def ps(rank, world, kind, dtype, n_steps):
    """The model lives on worker 0, which trains it as one of the trainers."""
    optimizer, options = KINDS[kind]
    trainer = Trainer(0, whole, optimizer, args=(dtype,), together=(rank, world), **options)
    for step in range(n_steps):
        x, y = batch(step, dtype, rank, world)
        trainer.train(lambda x=x, y=y: nn.functional.cross_entropy(trainer(x), y))
    return [value.numpy() for value in trainer.state_dict().values()]


def forget():
    ParameterServer.named.clear()


def parameters_of(rref):
    return [rpc.RRef(p) for p in rref.local_value().parameters()]


def run_stage(rref, x):
    return rref.local_value()(x)


def values_of(rref):
    return values(rref.local_value())


def model(kind, dtype, n_steps, world):
    """In worker 0: a stage on each worker, one distributed backward pass."""
    optimizer, options = KINDS[kind]
    stages = [rpc.remote(k, stage, args=(dtype, k, world)) for k in range(world)]
    refs = [p for s in stages for p in rpc.rpc_sync(s.owner(), parameters_of, args=(s,))]
    made = optim.DistributedOptimizer(optimizer, refs, **options)
    for step in range(n_steps):
        x, y = batch(step, dtype)
        with dist_autograd.context() as context_id:
            for s in stages:
                x = rpc.rpc_sync(s.owner(), run_stage, args=(s, x))
            dist_autograd.backward(context_id, [nn.functional.cross_entropy(x, y)])
            made.step(context_id)
    return [value for s in stages for value in rpc.rpc_sync(s.owner(), values_of, args=(s,))]


STRATEGIES = {"ddp": ddp, "shared": shared, "pipeline": pipeline, "ps": ps, "model": None}


def trained(group, name, kind, dtype, n_steps):
    """Parameters of the whole model."""
    if name == "model":
        return group.call(model, kind, dtype, n_steps, group.world)
    parts = group.call(everywhere, STRATEGIES[name], kind, dtype, n_steps)
    group.call(forget)
    if name == "pipeline":
        return [value for part in parts for value in part]
    return parts[-1]


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize("name", ["pipeline", "ps", "model"])  # the others have tests of their own
def test_two_workers_give_the_parameters_of_one(group2, name):
    for kind, dtype in (("sgd", "float32"), ("adam", "float64")):
        found = trained(group2, name, kind, dtype, SHORT)
        assert distance(found, one_process(kind, dtype, SHORT)) <= LIMIT[dtype]


@pytest.mark.slow
def test_all_strategies_at_length(capsys):
    for world in (2, 4):
        with fresh(world) as group:
            for kind, dtype in itertools.product(KINDS, LIMIT):
                wanted = one_process(kind, dtype, LONG)
                for name in STRATEGIES:
                    found = distance(trained(group, name, kind, dtype, LONG), wanted)
                    with capsys.disabled():
                        print(f"{name:9} {world} workers  {kind:5} {dtype}  {found:.1e}")
                    assert found <= LIMIT[dtype], (name, world, kind, dtype)


def test_a_difference_would_be_seen():
    wanted = one_process("sgd", "float64", 2)
    assert distance([value * (1 + 1e-11) for value in wanted], wanted) > LIMIT["float64"]
