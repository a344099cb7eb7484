"""Hogwild: steps of all reach the same parameters, staleness is counted, and it learns as well as one process."""

import os
import signal

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.data.digits import digits
from nbgrad.errors import ProcessException
from nbgrad.parallel import Hogwild
from tests.collectives.everywhere import error_of, everywhere
from tests.parallel.problem import model, values

BATCH, EPOCHS = 16, 12


def in_turns(rank, world):
    """Worker 1 steps twice between a forward and a step of worker 0."""
    net = model(seed=rank)
    hogwild = Hogwild(net, nb.optim.SGD(net.parameters(), lr=1.0))
    before = values(net)
    hogwild.zero_grad()
    for p in net.parameters():
        p.grad = nb.ones(*p.shape)
    dist.barrier()
    if rank == 1:
        hogwild.step()
        hogwild.step()
    dist.barrier()
    if rank == 0:
        hogwild.step()
    dist.barrier()
    moved = all(np.allclose(a - 3, b) for a, b in zip(before, values(net)))
    told = hogwild.statistics()
    net.double()
    lost = error_of(hogwild.step)
    hogwild.close()
    return moved, told, lost


def test_steps_of_all_reach_all_and_staleness_is_counted(group2):
    (moved, first, lost), (moved1, second, _) = group2.call(everywhere, in_turns)
    assert moved
    assert moved1
    assert (first.steps, first.all_steps, first.max_staleness, first.histogram) == (1, 3, 2, {2: 1})
    assert (second.steps, second.mean_staleness, second.histogram) == (2, 0.0, {0: 2})
    assert lost[0] == "ProcessGroupError"


def learned(rank, world):
    """Accuracy after training on this worker's part of the digits."""
    nb.manual_seed(7)
    data = digits()
    x, y = data.train_x, data.train_y
    net = nb.nn.Sequential(nb.nn.Linear(64, 64), nb.nn.ReLU(), nb.nn.Linear(64, 10))
    hogwild = Hogwild(net, nb.optim.SGD(net.parameters(), lr=0.1, momentum=0.5))
    rng = np.random.default_rng(rank)
    mine = np.arange(rank, len(x), world)
    for _ in range(EPOCHS):
        rng.shuffle(mine)
        for first in range(0, len(mine) - BATCH + 1, BATCH):
            part = mine[first : first + BATCH]
            hogwild.zero_grad()
            loss = nb.nn.functional.cross_entropy(net(nb.tensor(x[part])), nb.tensor(y[part]))
            loss.backward()
            hogwild.step()
    hogwild.barrier()
    found = float((net(nb.tensor(data.test_x)).array.argmax(1) == data.test_y).mean())
    told = hogwild.statistics()
    hogwild.barrier()
    hogwild.close()
    return found, told.steps


def test_it_learns_as_well_as_one_process(group2):
    dist.init_process_group(init_method="tcp://127.0.0.1:29655", rank=0, world_size=1)
    try:
        alone, _ = learned(0, 1)
    finally:
        dist.destroy_process_group()
    (found, steps), (same, _) = group2.call(everywhere, learned)
    assert found == same
    assert steps == 44 * EPOCHS
    assert alone > 0.95
    assert found >= alone - 0.01


def killed(index):
    dist.init_process_group("gloo", rank=index, world_size=2)
    net = model()
    hogwild = Hogwild(net, nb.optim.SGD(net.parameters(), lr=0.1))
    for p in net.parameters():
        p.grad = nb.ones(*p.shape)
    while True:
        hogwild.step()
        if index == 1 and hogwild.statistics().steps == 5:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_ends_the_group(nothing_left):
    with pytest.raises(ProcessException, match="process 1 terminated with signal SIGKILL"):
        nb.multiprocessing.spawn(killed, nprocs=2)
