"""What a member that waits learns: who is late, who has left, whether a death has torn the parameters."""

import os
import signal

import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.errors import ProcessException
from nbgrad.parallel import step
from tests.collectives.everywhere import error_of, everywhere
from tests.parallel.problem import loss_of, started


def late(rank, world):
    _, _, shared = started()
    shared.group.timeout_s = 0.3
    if rank == 1:
        return None
    return error_of(shared.step)


def test_who_does_not_come_is_named(group2):
    kind, text = group2.call(everywhere, late)[0]
    assert kind in ("CollectiveTimeout", "ProcessGroupError")
    assert "rank 1 has left" in text or "not done by ranks [1]" in text


def torn(index, pipe):
    dist.init_process_group("gloo", rank=index, world_size=2)
    net, _, shared = started()
    loss_of(net, 0, "float32", index, 2).backward()
    if index == 1:
        # It has come to the meeting, and dies before it writes its slice.
        shared.publish([p.grad.array for p in net.parameters()])
        step.arrive(shared.address, shared.prepare())
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        shared.step()
    except Exception as error:
        pipe.send((type(error).__name__, str(error)))


def test_a_death_among_writers_tears_the_parameters(nothing_left):
    ours, theirs = nb.multiprocessing.get_context("fork").Pipe()
    with pytest.raises(ProcessException):
        nb.multiprocessing.spawn(torn, (theirs,), nprocs=2)
    assert ours.poll(5)
    kind, text = ours.recv()
    assert kind == "ParametersTorn"
    assert "rank 1" in text
    assert "checkpoint" in text
    ours.close()
    theirs.close()
