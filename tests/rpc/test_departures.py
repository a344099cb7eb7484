"""A worker that has left the group: whoever waits for it, in a call or a pass, is told soon."""

import time

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import RpcError
from nbgrad.rpc import state
from nbgrad.shm import words
from nbgrad.shm.layout import GONE, STATE

SOON_S = 3.0  # on a busy machine, too; before what was called there ends


def identity(x):
    return x


def soon_told(attempt):
    """Whether an attempt fails soon with an error that names worker1."""
    start = time.monotonic()
    with pytest.raises(RpcError, match="'worker1' has left the group"):
        attempt()
    return time.monotonic() - start < SOON_S


def wait_until_gone():
    agent = state.agent()
    while words.load(agent.binding.worker(1) + STATE) != GONE:
        time.sleep(0.005)


def stay(rank, folder):
    """Worker 1 leaves while worker 0 needs it."""
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=2)
    if rank == 1:
        time.sleep(0.2)
        rpc.shutdown(graceful=False)  # waits for a short while for requests that run
        return
    x = nb.ones(2, requires_grad=True)
    found = []
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, identity, (x,)).sum()
        pending = rpc.rpc_async(1, time.sleep, (4.0,))
        wait_until_gone()
        found.append(soon_told(pending.wait))
        found.append(soon_told(lambda: rpc.rpc_sync(1, identity, (1,))))
        found.append(soon_told(lambda: dist_autograd.backward(context_id, [loss])))
        found.append(rpc.rpc_sync(0, identity, (5,)) == 5)
        # More than a ring holds.
        calls = [rpc.rpc_async(1, identity, (k,)) for k in range(3000)]
        found.append(all(soon_told(call.wait) for call in calls))
    rpc.shutdown()
    (folder / "0").write_text(str(found))


def test_calls_and_passes_with_a_worker_that_left_fail_soon(nothing_left, tmp_path):
    nb.multiprocessing.spawn(stay, args=(tmp_path,), nprocs=2)
    assert (tmp_path / "0").read_text() == "[True, True, True, True, True]"


def answer_and_leave(rank, folder):
    """What a worker posted before it left still counts."""
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=2)
    if rank == 1:
        time.sleep(0.1)
        rpc.shutdown(graceful=False)
        return
    futures = [rpc.rpc_async(1, identity, (k,)) for k in range(50)]
    wait_until_gone()
    (folder / "0").write_text(str([future.wait() for future in futures] == list(range(50))))
    rpc.shutdown()


def test_answers_posted_before_the_departure_count(nothing_left, tmp_path):
    nb.multiprocessing.spawn(answer_and_leave, args=(tmp_path,), nprocs=2)
    assert (tmp_path / "0").read_text() == "True"
