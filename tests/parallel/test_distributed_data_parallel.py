"""DistributedDataParallel: the parameters of one process, and PyTorch's ways to leave averaging out or to share it unequally."""

import os
import signal
import threading

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.errors import ProcessException
from nbgrad.nn.parallel import DistributedDataParallel
from tests.collectives.everywhere import error_of, everywhere
from tests.groups import fresh
from tests.parallel.problem import LIMIT, OPTIMIZERS, alone, distance, loss_of, model, values


def trained(rank, world, kind, dtype, n_steps, max_norm=None, is_view=False, seed=0):
    net = model(dtype, seed + rank)  # the first worker's values count
    ddp = DistributedDataParallel(net, bucket_cap_mb=0.01, gradient_as_bucket_view=is_view)
    optimizer = OPTIMIZERS[kind](ddp.parameters())
    for step in range(n_steps):
        optimizer.zero_grad()
        loss_of(ddp, step, dtype, rank, world).backward()
        if max_norm is not None:
            nb.nn.utils.clip_grad_norm_(ddp.parameters(), max_norm)
        optimizer.step()
    ddp.close()
    return values(net)


@pytest.mark.parametrize("is_view", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_two_workers_give_the_parameters_of_one(group2, kind, dtype, is_view):
    found = group2.call(everywhere, trained, kind, dtype, 200, None, is_view)
    assert distance(found[0], alone(kind, dtype, 200)) <= LIMIT[dtype]
    assert all((a == b).all() for a, b in zip(*found))


def test_four_workers_give_the_parameters_of_one():
    with fresh(4) as group:
        for kind in ("sgd", "adam"):
            for dtype in ("float32", "float64"):
                found = group.call(everywhere, trained, kind, dtype, 200)
                assert distance(found[3], alone(kind, dtype, 200)) <= LIMIT[dtype]


@pytest.mark.parametrize("is_view", [False, True])
def test_clipping(group2, is_view):
    found = group2.call(everywhere, trained, "sgd", "float64", 20, 0.1, is_view)[1]
    assert distance(found, alone("sgd", "float64", 20, 0.1)) <= LIMIT["float64"]


def accumulated(rank, world):
    net = model("float64")
    ddp = DistributedDataParallel(net)
    optimizer = OPTIMIZERS["sgd"](net.parameters())
    for step in range(5):
        optimizer.zero_grad()
        with ddp.no_sync():
            (loss_of(ddp, step, "float64", 2 * rank, 2 * world) / 2).backward()
        local = net[0].weight.grad.array.copy()
        (loss_of(ddp, step, "float64", 2 * rank + 1, 2 * world) / 2).backward()
        assert not np.allclose(local, net[0].weight.grad.array)
        optimizer.step()
    ddp.close()
    return values(net)


def test_no_sync(group2):
    found = group2.call(everywhere, accumulated)
    assert distance(found[0], alone("sgd", "float64", 5)) <= LIMIT["float64"]
    assert all((a == b).all() for a, b in zip(*found))


class Branches(nb.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nb.nn.Linear(1, 1, bias=False) for _ in range(3))

    def forward(self, x, names):
        return {"sum": sum(getattr(self, name)(x) for name in names)}


def branched(rank, world, finds):
    ddp = DistributedDataParallel(Branches(), bucket_cap_mb=1e-6, find_unused_parameters=finds)
    net, told = ddp.module, []
    for names in ("ab" if rank == 0 else "a", "c" if rank == 0 else "b"):
        ddp.zero_grad()
        ddp(nb.ones(1, 1), names)["sum"].sum().backward()
        told.append([None if p.grad is None else p.grad.item() for p in net.parameters()])
    ddp.close()
    return told


@pytest.mark.parametrize("finds", [False, True])
def test_unused_parameters(group2, finds):
    for told in group2.call(everywhere, branched, finds):
        assert told == [[1.0, 0.5, None], [None, 0.5, 0.5]]


class Counting(nb.nn.Module):
    """A model with a buffer that each forward changes."""

    def __init__(self):
        super().__init__()
        self.weight = nb.nn.Parameter(nb.ones(1))
        self.register_buffer("seen", nb.zeros(1))

    def forward(self, x):
        self.seen.add_(x.sum())
        return x * self.weight


def uneven(rank, world, divides_by_all):
    ddp = DistributedDataParallel(Counting())
    optimizer = nb.optim.SGD(ddp.parameters(), lr=1.0)
    grads = []
    with ddp.join(divide_by_initial_world_size=divides_by_all):
        for _ in range(1 + 2 * rank):
            optimizer.zero_grad()
            ddp(nb.full((1,), rank + 1.0)).sum().backward()
            grads.append(ddp.module.weight.grad.item())
            optimizer.step()
    final = ddp.module.weight.item(), ddp.module.seen.item()
    ddp.close()
    return grads, final


@pytest.mark.parametrize("divides_by_all", [True, False])
def test_join(group3, divides_by_all):
    found = group3.call(everywhere, uneven, divides_by_all)
    n = 3 if divides_by_all else 2
    steps = [2.0] + [5 / n] * 2 + [3 / (3 if divides_by_all else 1)] * 2
    for grads, final in found:
        assert np.allclose(grads, steps[: len(grads)])
        assert final[0] == pytest.approx(1.0 - sum(steps))
        assert final == found[2][1], "of those who trained longest"


def early_end(rank, world):
    ddp = DistributedDataParallel(Counting())

    def train():
        with ddp.join(throw_on_early_termination=True):
            for _ in range(1 + rank):
                ddp(nb.ones(1)).sum().backward()

    found = error_of(train)
    ddp.close()
    return found


def test_join_that_throws(group2):
    for kind, text in group2.call(everywhere, early_end):
        assert kind == "DesyncError"
        assert "exhausted inputs" in text
        assert "[0]" in text


def buffers(rank, world):
    ddp = DistributedDataParallel(Counting())
    for _ in range(2):
        ddp(nb.full((1,), rank + 1.0)).sum().backward()
    found = ddp.module.seen.item()
    with nb.no_grad():
        ddp(nb.ones(1))  # an evaluation waits for nobody
    ddp.close()
    return found


def test_buffers_follow_the_first_worker(group2):
    assert group2.call(everywhere, buffers) == [2.0, 3.0]


def two_dtypes(rank, world):
    net = nb.nn.Module()
    net.a = nb.nn.Parameter(nb.ones(2))
    net.b = nb.nn.Parameter(nb.ones(2, dtype=nb.float64))
    net.forward = lambda x: (net.a * x).sum() + ((net.b * x).sum() if rank == 0 else 0.0)
    ddp = DistributedDataParallel(net)
    ddp(nb.full((2,), rank + 1.0)).backward()
    found = net.a.grad.tolist(), net.b.grad.tolist(), str(net.b.grad.dtype)
    ddp.close()
    return found


def test_two_dtypes(group2):
    assert group2.call(everywhere, two_dtypes) == [([1.5, 1.5], [0.5, 0.5], "float64")] * 2


def mismatched(rank, world):
    told = [error_of(DistributedDataParallel, nb.nn.Linear(2, 2 + rank))]
    told.append(error_of(DistributedDataParallel, nb.nn.ReLU()))
    ddp = DistributedDataParallel(nb.nn.Linear(2, 1))
    told.append(list(ddp.state_dict()))
    told.append(list(ddp.module.state_dict()))
    with ddp.join(enable=False):
        ddp(nb.ones(1, 2)).sum().backward()
    ddp.close()
    return told


def test_differences_are_named(group2):
    for shapes, nothing, prefixed, plain in group2.call(everywhere, mismatched):
        assert shapes[0] == "DesyncError"
        assert (
            "rank 0 has weight of shape (2, 2), float32, and rank 1 has weight of shape (3, 2)"
            in shapes[1]
        )
        assert nothing[0] == "DtypeError"
        assert prefixed == ["module.weight", "module.bias"]
        assert plain == ["weight", "bias"]


def killed(index, seed):
    dist.init_process_group("gloo", rank=index, world_size=2)
    ddp = DistributedDataParallel(model())
    if index == 1:
        threading.Timer(0.001 * seed, os.kill, (os.getpid(), signal.SIGKILL)).start()
    step = 0
    while True:
        loss_of(ddp, step % 10, "float32", index, 2).backward()
        step += 1


@pytest.mark.parametrize("seed", [0, 5])
def test_a_kill_in_a_step_ends_the_group(nothing_left, seed):
    with pytest.raises(ProcessException, match="process 1 terminated with signal SIGKILL"):
        nb.multiprocessing.spawn(killed, (seed,), nprocs=2)
