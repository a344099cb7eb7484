"""What each worker did in each pass."""

import time

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import FastModeError


def square(x):
    return x * x


def counted(n_calls, n_values):
    x = nb.ones(n_values, requires_grad=True) * 1
    with dist_autograd.context() as context_id:
        y = x
        for _ in range(n_calls):
            y = rpc.rpc_sync("worker1", square, args=(y,))
        loss = y.sum()
        dist_autograd.backward(context_id, [loss], retain_graph=True)
        dist_autograd.backward(context_id, [loss])
        return dist_autograd.pass_statistics(context_id)


def test_hops_nodes_and_bytes(group2):
    passes = group2.call(counted, 3, 4)
    assert len(passes) == 2
    for found in passes:
        assert [found[w].gradients for w in ("worker0", "worker1")] == [3, 3]
        assert found["worker1"].nodes == 3
        assert found["worker0"].bytes_copied == found["worker1"].bytes_copied == 3 * 16
        assert all(part.computing_s > 0 and part.waiting_s >= 0 for part in found.values())


def test_large_gradients_are_not_copied(group2):
    (found, _) = group2.call(counted, 1, 100_000)
    assert [found[w].bytes_copied for w in ("worker0", "worker1")] == [0, 0]
    assert found["worker1"].bytes_zero_copy == 400_000


N_TIMES = 5  # a busy machine may take the processor away for as long as the others compute


class Slow(nb.autograd.Function):
    """Its backward computes for 50 ms."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        return grad


def slow(x):
    return Slow.apply(x)


def times():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [slow(rpc.rpc_sync("worker1", square, args=(x,))).sum()])
        dist_autograd.backward(context_id, [rpc.rpc_sync("worker1", slow, args=(x,)).sum()])
        return dist_autograd.pass_statistics(context_id)


def test_computing_and_waiting_are_told_apart(group2):
    others_s = []
    for _ in range(N_TIMES):
        here, there = group2.call(times)
        assert (
            here["worker0"].computing_s >= 0.05
        )  # before the first message is posted: computing, too
        assert there["worker1"].computing_s >= 0.05
        assert there["worker0"].waiting_s >= 0.05
        others_s.append(max(there["worker0"].computing_s, here["worker1"].computing_s))
        if others_s[-1] < 0.05:
            break
    assert min(others_s) < 0.05


def failed():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", square, args=(x,)).sum()
        rpc.rpc_sync("worker1", square, args=(x,))
        with pytest.raises(FastModeError):
            dist_autograd.backward(context_id, [loss], mode="fast")
        return dist_autograd.pass_statistics(context_id)


def test_a_failed_pass_is_told_of_as_well(group2):
    (found,) = group2.call(failed)
    assert found["worker0"].gradients == found["worker1"].gradients == 1


def through(x):
    return rpc.rpc_sync("worker2", square, args=(x,))


def nested(n_passes):
    x = nb.ones(3, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", through, args=(x,)).sum()
        for _ in range(n_passes):
            dist_autograd.backward(context_id, [loss], retain_graph=True)
        return dist_autograd.pass_statistics(context_id)


def test_workers_that_only_another_worker_has_called(group3):
    passes = group3.call(nested, 3)
    assert [sorted(found) for found in passes] == [["worker0", "worker1", "worker2"]] * 3
    starts = [found["worker0"].started_ns for found in passes]
    assert starts == sorted(starts)
    for found in passes:
        assert (
            found["worker0"].started_ns < found["worker1"].started_ns < found["worker2"].started_ns
        )
