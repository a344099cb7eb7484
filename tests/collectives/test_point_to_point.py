"""send and recv: values, order, tags, anybody, and what goes wrong."""

import os
import signal
from datetime import timedelta

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.errors import ProcessException
from tests.collectives.everywhere import error_of, everywhere
from tests.collectives.test_api import same, values

SHAPES = [(), (0,), (3, 4), (4096,), (4097,), (100_000,)]


def around(rank, world, dtype):
    """Rank 0 sends first, the others receive first."""
    right, left = (rank + 1) % world, (rank - 1) % world
    for k, shape in enumerate(SHAPES * 2):
        x = nb.tensor(values(rank, shape, dtype, k))
        x = x + 0 if k % 2 and x.dtype != nb.bool else x
        y = nb.zeros(shape, dtype=dtype)
        if rank == 0:
            dist.send(x, right)
        assert dist.recv(y, left if k % 2 else None) == left
        if rank:
            dist.send(x, right)
        same(y.array, values(left, shape, dtype, k))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_around_a_ring(group3, dtype):
    group3.call(everywhere, around, dtype)


def streams(rank, world, n):
    """Small letters do not wait for their receiver; they come in order."""
    if rank == 0:
        for k in range(n):
            dist.send(nb.full((5,), float(k)), 1)
    else:
        x = nb.zeros(5)
        for k in range(n):
            dist.recv(x, 0)
            assert x.tolist() == [k] * 5
    dist.barrier()
    out, got = nb.full((3,), float(rank)), nb.zeros(3)  # both send first
    dist.send(out, 1 - rank)
    dist.recv(got, 1 - rank)
    assert got.tolist() == [1 - rank] * 3
    column = nb.zeros(4, 4)
    dist.send(nb.ones(4), 1 - rank)
    dist.recv(column[:, 1], 1 - rank)
    assert column.array.sum() == 4
    assert column.array[:, 1].tolist() == [1] * 4


def test_a_stream_of_letters(group2):
    group2.call(everywhere, streams, 200)


def at_once(rank, world):
    big, small = nb.full((50_000,), float(rank)), nb.full((2,), float(rank))
    a, b = nb.zeros(50_000), nb.zeros(2)
    peer = 1 - rank
    works = [dist.isend(big, peer), dist.irecv(a, peer)]
    assert all(work.wait(timedelta(seconds=10)) for work in works)
    assert (a.array == peer).all()
    assert works[1].source_rank() == peer
    ops = [dist.P2POp(dist.isend, big, peer), dist.P2POp(dist.irecv, a.zero_(), peer),
           dist.P2POp(dist.isend, small, peer), dist.P2POp(dist.irecv, b, peer)]  # fmt: skip
    for work in dist.batch_isend_irecv(ops):
        work.wait()
    assert (a.array == peer).all()
    assert b.tolist() == [peer] * 2


def test_both_directions_at_once(group2):
    group2.call(everywhere, at_once)


def wrong(rank, world):
    peer, x = 1 - rank, nb.ones(3)
    found = []
    for other, tag in ((nb.ones(4), 0), (nb.ones(3).double(), 0), (x, 5)):
        if rank == 0:
            dist.send(other, peer, tag=tag)
        else:
            found.append(error_of(dist.recv, nb.zeros(3), peer)[1])
    dist.barrier()
    found.append(error_of(dist.send, x, rank)[1])
    group = dist.new_group(timeout=0.2)
    if rank == 0:
        found.append(error_of(dist.recv, x, 1, group)[1])
        found.append(error_of(dist.send, nb.ones(50_000), 1, group)[1])
    dist.barrier()
    return found


def test_what_goes_wrong_is_told(group2):
    zero, one = group2.call(everywhere, wrong)
    assert "nothing can be sent to oneself" in zero[0]
    assert "s in recv of float32, shape (3,), from rank 1" in zero[1]
    assert "send of float32, shape (50000,), to rank 1" in zero[2]
    assert "which has sent 4 of float32 with tag 0" in one[0]
    assert "which has sent 3 of float64" in one[1]
    assert "with tag 5" in one[2]


def dies(index, n):
    dist.init_process_group("gloo", rank=index, world_size=2)
    dist.barrier()
    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    kind, text = error_of(dist.recv, nb.ones(n), 1)
    assert (kind, "rank 1" in text, "recv" in text) == ("WorkerDied", True, True)
    raise SystemExit(0)


@pytest.mark.parametrize("n", [3, 50_000])
def test_a_dead_sender_is_named(nothing_left, n):
    with pytest.raises(ProcessException, match="process 1 terminated with signal SIGKILL"):
        nb.multiprocessing.spawn(dies, (n,), nprocs=2)


def test_arrays_are_sent_as_they_are(group2):
    group2.call(everywhere, plain_arrays)


def plain_arrays(rank, world):
    x = np.arange(5.0) + rank
    y = np.zeros(5)
    dist.send(x, 1 - rank)
    dist.recv(y, 1 - rank)
    assert y.tolist() == (np.arange(5.0) + 1 - rank).tolist()
