"""async_op: works run in order, by whoever gets the turn, and say how they ended."""

import threading
from datetime import timedelta

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.shm.binding import block_of
from tests.collectives.everywhere import error_of, everywhere

BIG = 100_000


def overlapping(rank, world):
    xs = [nb.ones(BIG if k % 3 == 0 else 5) * (k + 1) for k in range(12)]
    works = [dist.all_reduce(x, async_op=True) for x in xs]
    assert all(isinstance(work, dist.Work) for work in works)
    y = nb.ones(3)
    dist.all_reduce(y)  # a blocking one runs after those of the queue
    assert all(work.is_completed() for work in works)
    assert (y.array == world).all()
    for k in (5, 0, 11, *range(12)):
        assert works[k].wait() is True
        assert works[k].is_success()
        assert works[k].exception() is None
        assert (xs[k].array == world * (k + 1)).all()
        assert works[k].result() is xs[k]


def test_works_overlap_and_keep_their_order(group3):
    group3.call(everywhere, overlapping)


def others(rank, world):
    x, out = nb.full((4,), float(rank)), nb.zeros(world, 4)
    a = dist.all_gather_into_tensor(out, x, async_op=True)
    b = dist.broadcast(x, 1, async_op=True)
    c = dist.barrier(async_op=True)
    c.wait(timedelta(seconds=10))
    assert a.is_completed()
    assert b.is_completed()
    assert out.array[:, 0].tolist() == list(range(world))
    assert x.tolist() == [1] * 4
    column = nb.ones(4, 4)[:, 1]
    dist.all_reduce(column, async_op=True).wait()
    assert column.tolist() == [world] * 4
    future = dist.all_reduce(column, async_op=True).get_future()
    assert future.wait() is column
    assert column.tolist() == [world**2] * 4


def test_other_collectives_and_futures(group2):
    group2.call(everywhere, others)


def nobody_waits(rank, world):
    """A work goes on without its caller: the thread of the group runs it."""
    x = nb.ones(BIG)
    work = dist.all_reduce(x, async_op=True)
    assert work.finished.wait(10)  # not `work.wait`, which would help
    assert (x.array == world).all()
    block = block_of(x.array)
    y = nb.ones(5)
    dist.all_reduce(y, async_op=True)
    dist.destroy_process_group()  # what is in the queue is done first
    assert (y.array == world).all()
    assert block


def test_works_go_on_by_themselves(group2):
    group2.call(everywhere, nobody_waits)


def errors(rank, world):
    x = nb.ones(3 + rank)
    work = dist.all_reduce(x, async_op=True)
    kind, text = error_of(work.wait)
    assert kind == "DesyncError"
    assert "shape (3,)" in text
    assert work.is_completed()
    assert not work.is_success()
    assert type(work.exception()).__name__ == "DesyncError"
    assert error_of(work.get_future().wait)[0] == "DesyncError"
    y = nb.ones(3)
    dist.all_reduce(y, async_op=True).wait()
    assert y.tolist() == [world] * 3
    if rank == 0:
        work = dist.barrier(async_op=True)
        assert error_of(work.wait, 0.05)[0] == "CollectiveTimeout"
        late = dist.broadcast(y, 0, async_op=True)
        dist.all_reduce(y, group=dist.group.WORLD)
        assert work.is_success()
        assert late.is_success()
    else:
        threading.Event().wait(0.1)
        dist.barrier()
        dist.broadcast(y, 0)
        dist.all_reduce(y)
    return error_of(dist.all_reduce, x.to_sparse(), async_op=True)[0]


def test_errors_wait_for_who_asks(group2):
    assert group2.call(everywhere, errors) == ["DtypeError"] * 2
