"""What each worker did in each pass."""

import nbgrad as nb
from nbgrad import dist_autograd, rpc


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
