"""Parameters that exist once: the same as one process, run to run the same bits, and what happens where workers differ or die."""

import copy
import os
import signal
import threading

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.errors import ProcessException
from nbgrad.parallel import SharedParameters
from tests.collectives.everywhere import error_of, everywhere
from tests.groups import fresh
from tests.parallel.problem import (
    HIDDEN,
    INPUTS,
    LIMIT,
    OPTIMIZERS,
    alone,
    distance,
    loss_of,
    model,
    started,
    values,
)


def trained(rank, world, kind, dtype, n_steps, max_norm=None):
    net, _, shared = started(kind, dtype, max_norm=max_norm)
    for step in range(n_steps):
        shared.zero_grad()
        loss_of(net, step, dtype, rank, world).backward()
        shared.step()
    found = values(net)
    for p, view in zip(net.parameters(), shared.flat.owners[0]):
        assert p.array is view
    shared.close()
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_two_workers_give_the_parameters_of_one(group2, kind, dtype):
    found = group2.call(everywhere, trained, kind, dtype, 200)
    assert distance(found[0], alone(kind, dtype, 200)) <= LIMIT[dtype]
    assert all((a == b).all() for a, b in zip(*found))


def test_four_workers_give_the_parameters_of_one():
    with fresh(4) as group:
        for kind in ("sgd", "adam"):
            for dtype in ("float32", "float64"):
                found = group.call(everywhere, trained, kind, dtype, 200)
                assert distance(found[3], alone(kind, dtype, 200)) <= LIMIT[dtype]


def test_two_runs_give_the_same_bits(group3):
    first, again = (group3.call(everywhere, trained, "adam", "float32", 20)[0] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_by_the_common_norm(group2, dtype):
    found = group2.call(everywhere, trained, "sgd", dtype, 50, 0.1)[0]
    assert distance(found, alone("sgd", dtype, 50, 0.1)) <= LIMIT[dtype]
    assert distance(found, alone("sgd", dtype, 50)) > 100 * LIMIT[dtype], "it does clip"


# ------------------------------------------------------------ gradients of other kinds


def partly_absent(rank, world):
    """Gradients as given: on all, on one, on none; then accumulated, sparse, not contiguous."""
    rows = nb.nn.Parameter(nb.ones(3, 2))
    a, b, c = (nb.nn.Parameter(nb.ones(2)) for _ in range(3))
    module = nb.nn.Module()
    for name, p in zip("abcr", (a, b, c, rows)):
        module.register_parameter(name, p)
    shared = SharedParameters(module, nb.optim.Adam(module.parameters(), lr=0.1))
    a.grad = nb.tensor([1.0, 1.0])
    if rank == 0:
        b.grad = nb.tensor([1.0, 1.0])
    shared.step()
    state = shared.optimizer.state
    told = [
        a.array.tolist(),
        b.array.tolist(),
        c.array.tolist(),
        [state[p]["step"] for p in (a, b, c)],
    ]
    told.append(state[b]["exp_avg"].array.tolist())
    shared.zero_grad()
    a.grad = None
    c.grad = nb.tensor([1.0, 1.0])
    rows.grad = nb.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).t()
    assert not rows.grad.is_contiguous()
    shared.step()
    told.append([state[p]["step"] for p in (a, b, c)])
    told.append(state[rows]["exp_avg"].array.tolist())
    shared.close()
    return told


def test_absent_gradients(group2):
    a, b, c, steps, half, later, rows = group2.call(everywhere, partly_absent)[1]
    assert np.allclose(a, 0.9)
    assert np.allclose(b, 0.9)
    assert c == [1.0, 1.0], "no gradient anywhere: left alone"
    assert steps == [1, 1, 0]
    assert later == [1, 1, 1]
    assert np.allclose(half, 0.1 * 0.5), "none on one worker counts as zero, and the divisor stays"
    assert np.allclose(rows, 0.1 * np.array([[1, 4], [2, 5], [3, 6]]))


def accumulated(rank, world):
    net, _, shared = started()
    for step in range(5):
        shared.zero_grad()
        for part in range(2):
            (loss_of(net, step, "float32", 2 * rank + part, 2 * world) / 2).backward()
        shared.step()
    found = values(net)
    shared.close()
    return found


def test_accumulation(group2):
    found = group2.call(everywhere, accumulated)[0]
    assert distance(found, alone("sgd", "float32", 5)) <= LIMIT["float32"]


def wrong_gradients(rank, world):
    net, _, shared = started()
    first = next(net.parameters())
    first.grad = nb.zeros(3)
    told = [error_of(shared.step)]
    first.grad = nb.zeros(HIDDEN, INPUTS, dtype=nb.float64)
    told.append(error_of(shared.step))
    shared.zero_grad()
    shared.step()
    shared.close()
    return told


def test_wrong_gradients_are_named_before_anything_happens(group2):
    for shape, dtype in group2.call(everywhere, wrong_gradients):
        assert shape[0] == "ShapeError"
        assert "parameter 0 has shape (3,)" in shape[1]
        assert dtype[0] == "DtypeError"
        assert "parameter 0 is float64" in dtype[1]


# ------------------------------------------------------------ state


def going_on(rank, world):
    net, _, shared = started("adam")

    def train(steps):
        for step in steps:
            shared.zero_grad()
            loss_of(net, step, "float32", rank, world).backward()
            shared.step()

    train(range(3))
    state = copy.deepcopy(shared.state_dict())
    ends = []
    for _ in range(2):
        train(range(3, 6))
        ends.append(values(net))
        shared.load_state_dict(state)
    shared.close()
    return ends


def test_going_on_from_a_state_gives_the_same_bits(group2):
    for first, again in group2.call(everywhere, going_on):
        assert all((a == b).all() for a, b in zip(first, again))


# ------------------------------------------------------------ differences


def mismatched(rank, world):
    class Other(nb.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nb.nn.Linear(2, 3 + rank)

    other = Other()
    told = [error_of(SharedParameters, other, nb.optim.SGD(other.parameters(), lr=0.1))]
    kind = [nb.optim.SGD, nb.optim.Adam][rank]
    same = nb.nn.Linear(2, 2)
    told.append(error_of(SharedParameters, same, kind(same.parameters(), lr=0.1)))
    net, optimizer, shared = started()
    before = values(net)
    optimizer.param_groups[0]["lr"] = 0.1 * (rank + 1)
    loss_of(net, 0, "float32").backward()
    told.append(error_of(shared.step))
    dist.barrier()
    assert all((a == b).all() for a, b in zip(before, values(net)))
    optimizer.param_groups[0]["lr"] = 0.1
    shared.step()
    dist.barrier()
    assert not all((a == b).all() for a, b in zip(before, values(net)))
    net.double()
    told.append(error_of(shared.step))
    shared.close()
    half = nb.nn.Linear(2, 2)
    half.bias.array = half.bias.array.astype(np.float64)
    told.append(error_of(SharedParameters, half, nb.optim.SGD(half.parameters(), lr=0.1)))
    told.append(error_of(SharedParameters, half, nb.optim.Adagrad(half.parameters())))
    return told


def test_differences_are_named(group2):
    for model_, kind, options, moved, dtypes, unknown in group2.call(everywhere, mismatched):
        assert model_[0] == kind[0] == options[0] == "DesyncError"
        assert (
            "a parameter of shape (3, 2), float32, and rank 1 has a parameter of shape (4, 2)"
            in model_[1]
        )
        assert "SGD" in kind[1]
        assert "Adam" in kind[1]
        assert "step 0" in options[1]
        assert "learning rates" in options[1]
        assert moved[0] == "ProcessGroupError"
        assert "does not lie in shared memory" in moved[1]
        assert dtypes[0] == "DtypeError"
        assert unknown[0] == "ValueError"


def first_values(rank, world):
    net = model(seed=rank)
    frozen = nb.nn.Linear(2, 2)
    frozen.weight.array[...] = rank
    frozen.requires_grad_(False)
    norm = nb.nn.BatchNorm1d(2)
    norm.running_mean.array[...] = rank
    whole = nb.nn.ModuleList([net, frozen, norm])
    optimizer = OPTIMIZERS["sgd"]([p for p in whole.parameters() if p.requires_grad])
    shared = SharedParameters(whole, optimizer)
    found = values(net), frozen.weight.array.copy(), norm.running_mean.array.copy()
    shared.close()
    return found


def test_the_first_worker_brings_the_values(group2):
    net, frozen, mean = group2.call(everywhere, first_values)[1]
    assert all((a == b).all() for a, b in zip(net, values(model(seed=0))))
    assert not frozen.any()
    assert not mean.any()


def counted(rank, world):
    net, _, shared = started("adam")
    loss_of(net, 0, "float32", rank, world).backward()
    shared.step()
    statistics = shared.statistics()
    shared.close()
    return statistics.steps, statistics.bytes_moved, sum(p.numel() for p in net.parameters())


def test_bytes_are_those_of_the_design(group2):
    """Per parameter: each worker's gradient, and parameter, m and v read and written."""
    (steps, mine, n), (_, its, _) = group2.call(everywhere, counted)
    assert steps == 1
    assert mine + its == n * 4 * (2 + 3 * 2)


# ------------------------------------------------------------ ends


def killed(index, seed):
    dist.init_process_group("gloo", rank=index, world_size=2)
    net, _, shared = started()
    if index == 1:
        threading.Timer(0.001 * seed, os.kill, (os.getpid(), signal.SIGKILL)).start()
    step = 0
    while True:
        shared.zero_grad()
        loss_of(net, step % 10, "float32", index, 2).backward()
        shared.step()
        step += 1


@pytest.mark.parametrize("seed", [0, 3, 10])
def test_a_kill_in_a_step_ends_the_group(nothing_left, seed):
    with pytest.raises(ProcessException, match="process 1 terminated with signal SIGKILL"):
        nb.multiprocessing.spawn(killed, (seed,), nprocs=2)
