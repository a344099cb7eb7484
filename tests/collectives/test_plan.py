"""Plans in real processes: exact sums, step after step, with members that differ, stay away or die."""

import os
import signal
import threading

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.collectives.membership import State
from nbgrad.collectives.plan import Plan
from nbgrad.distributed import ReduceOp
from nbgrad.errors import ProcessException
from tests.collectives.everywhere import error_of, everywhere
from tests.collectives.test_api import NUMPY, same, values

SIZES = [1, 1000, 70_000, 17]


def steps(rank, world, op, dtype, n_steps):
    plan = Plan(State.default, SIZES, np.dtype(dtype), op)
    for step in range(n_steps):
        for k, size in enumerate(SIZES):
            plan.inputs[k][:] = values(rank, (size,), dtype, k + 10 * step)
            plan.start()
        plan.finish()
        for k, size in enumerate(SIZES):
            stacked = np.stack([values(p, (size,), dtype, k + 10 * step) for p in range(world)])
            same(plan.outputs[k], NUMPY[op](stacked, dtype=np.dtype(dtype)))
            assert not plan.outputs[k].flags.writeable
    dist.all_reduce(nb.ones(3))  # the group itself is free
    plan.close()


@pytest.mark.parametrize(
    ("op", "dtype"), [(ReduceOp.SUM, "float32"), (ReduceOp.AVG, "float64"), (ReduceOp.MAX, "int32")]
)
def test_steps(group3, op, dtype):
    group3.call(everywhere, steps, op, dtype, 5)


def pieces(rank, world):
    """Pieces that lie in shared memory, elsewhere, in `inputs` or nowhere, in turns."""
    sizes = [20_000, 30, 17_000]
    layout = [[(0, sizes[0]), (20_000, sizes[1])], [(0, sizes[2])]]
    plan = Plan(State.default, [20_030, 17_000], np.dtype("float32"), ReduceOp.AVG, layout)
    views = [plan.outputs[0][:20_000], plan.outputs[0][20_000:], plan.outputs[1]]
    inputs = [plan.inputs[0][:20_000], plan.inputs[0][20_000:], plan.inputs[1]]
    refused = [np.ones((30, 4), np.float32)[:, 0], np.ones(31, np.float32), np.ones(30)]
    assert not any(plan.give(1, array) for array in refused)
    for step in range(6):
        for k, size in enumerate(sizes):
            how = (step + k + rank) % 3
            mine = values(rank, (size,), "float32", k + 10 * step)
            if how == 0:
                assert plan.give(k, (nb.tensor(mine) + 0.0).array), "born in shared memory if large"
            elif how == 1 and step > 2:
                assert plan.give(k, None)
            else:
                plan.take_back(k)
                inputs[k][:] = mine
            if k:
                plan.start()
        plan.finish()
        for k, size in enumerate(sizes):
            there = [p for p in range(world) if step <= 2 or (step + k + p) % 3 != 1]
            stacked = [values(p, (size,), "float32", k + 10 * step) for p in there]
            same(views[k], np.sum(stacked, axis=0, dtype=np.float32) / np.float32(world))
    assert plan.given == [None] * 3
    plan.close()


def test_pieces_are_read_where_they_lie(group3):
    group3.call(everywhere, pieces)


def many_plans(rank, world):
    for _ in range(70):  # more than there are slots
        plan = Plan(State.default, [5], np.dtype("float32"))
        plan.inputs[0][:] = rank + 1
        plan.start()
        plan.finish()
        assert plan.outputs[0].tolist() == [world * (world + 1) / 2] * 5
        plan.close()
    pair = dist.new_group([0, 1])
    if rank < 2:
        plan = Plan(pair, [5], np.dtype("float32"))
        plan.inputs[0][:] = 1
        plan.start()
        plan.finish()
        assert plan.outputs[0].tolist() == [2] * 5
        plan.close()
    after = dist.new_group()  # although some have made more groups than others
    dist.barrier(after)
    dist.destroy_process_group()
    dist.init_process_group(rank=rank, world_size=world, timeout=10)
    dist.barrier()


def test_slots_come_back_and_numbers_stay_apart(group3):
    group3.call(everywhere, many_plans)


def misuse(rank, world):
    found = [error_of(Plan, State.default, [5, 6 + rank], np.dtype("float32"))]
    plan = Plan(State.default, [5, 6], np.dtype("float32"))
    found.append(error_of(plan.finish))
    plan.start()
    plan.start()
    found.append(error_of(plan.start))
    plan.finish()
    plan.close()
    found.append(error_of(plan.start))
    return found


def test_what_can_not_be_is_refused(group2):
    for found in group2.call(everywhere, misuse):
        assert [error[0] for error in found] == ["DesyncError"] + ["ProcessGroupError"] * 3
        parts = ["make different plans", "0 of 2 buckets", "call finish() first", "destroyed"]
        assert all(part in error[1] for error, part in zip(found, parts)), found


def absent(rank, world):
    plan = Plan(State.default, [5, 6], np.dtype("float32"))
    plan.group.timeout_s = 0.3
    plan.start()
    if rank == 1:
        return None
    plan.start()
    return error_of(plan.finish)


def test_who_is_late_is_told(group2):
    kind, text = group2.call(everywhere, absent)[0]
    assert kind in ("CollectiveTimeout", "ProcessGroupError")
    assert "by rank: {" in text or "rank 1 has left" in text


def killed(index, seed):
    dist.init_process_group("gloo", rank=index, world_size=2)
    plan = Plan(State.default, [40_000, 10], np.dtype("float32"))
    if index == 1:
        threading.Timer(0.001 * seed, os.kill, (os.getpid(), signal.SIGKILL)).start()
    while True:
        plan.start()
        plan.start()
        plan.finish()


@pytest.mark.parametrize("seed", [0, 3])
def test_a_kill_in_a_step_ends_the_group(nothing_left, seed):
    with pytest.raises(ProcessException, match="process 1 terminated with signal SIGKILL"):
        nb.multiprocessing.spawn(killed, (seed,), nprocs=2)
