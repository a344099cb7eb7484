"""DistributedDataParallel in a distributed pass: gradients of its parameters are averages, those of others are not."""

import numpy as np

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.nn.parallel import DistributedDataParallel
from tests.collectives.everywhere import everywhere


def layer(n_in, n_out, first):
    found = nb.nn.Linear(n_in, n_out, bias=False)
    with nb.no_grad():
        found.weight.copy_(nb.arange(first, first + n_in * n_out).reshape(n_out, n_in) / 10)
    return found


def doubled(x):
    return x * 2


def hybrid(rank, world):
    """A layer of each worker, a call, a layer of all: gradients here, and those of the program in one process."""
    own, shared = layer(3, 2, rank), layer(2, 2, 5)
    ddp = DistributedDataParallel(shared)
    x = nb.full((4, 3), rank + 1.0)
    found = []
    for _ in range(2):  # two contexts, two averages
        with dist_autograd.context() as context_id:
            y = rpc.rpc_sync((rank + 1) % world, doubled, args=(own(x),))
            dist_autograd.backward(context_id, [ddp(y).sum()])
            gradients = dist_autograd.get_gradients(context_id)
            found.append((gradients[own.weight].tolist(), gradients[shared.weight].tolist()))
    assert own.weight.grad is None
    assert shared.weight.grad is None
    shared(own(x) * 2).sum().backward()
    ddp.close()
    return found, own.weight.grad.tolist(), shared.weight.grad.tolist()


def test_only_parameters_of_the_module_are_averaged(group3):
    found = group3.call(everywhere, hybrid)
    mean = np.mean([alone for _, _, alone in found], axis=0)
    for passes, own, _ in found:
        for across, average in passes:
            np.testing.assert_allclose(across, own, rtol=1e-6)
            np.testing.assert_allclose(average, mean, rtol=1e-6)


def ways(rank, world):
    """A pass without synchronization, one that averages what has come to it, and a local one after them."""
    net = layer(2, 1, 1)
    ddp = DistributedDataParallel(net, gradient_as_bucket_view=True)
    x = nb.full((1, 2), rank + 1.0)
    with dist_autograd.context() as context_id:
        with ddp.no_sync():
            dist_autograd.backward(context_id, [ddp(x).sum()])
        live = dist_autograd.get_gradients(context_id)[net.weight]
        alone = live.tolist()
        dist_autograd.backward(context_id, [ddp(x).sum()])
        together = dist_autograd.get_gradients(context_id)[net.weight]
        assert together is live
        both = together.tolist()
        dist_autograd.backward(context_id, [net(x).sum()])  # of no forward of the module
        after = dist_autograd.get_gradients(context_id)[net.weight].tolist()
    ddp(x).sum().backward()
    local = net.weight.grad.tolist()
    ddp.close()
    return alone, both, after, local


def test_when_a_pass_averages(group2):
    for rank, (alone, both, after, local) in enumerate(group2.call(everywhere, ways)):
        own = rank + 1.0
        assert alone == [[own] * 2]
        assert both == [[3.0] * 2], "the mean of twice one's own"
        assert after == [[3.0 + own] * 2]
        assert local == [[1.5] * 2]


def uneven(rank, world):
    """Worker 0 has one batch, worker 1 has three."""
    net = layer(2, 1, 1)
    ddp = DistributedDataParallel(net)
    found = []
    with ddp.join():
        for _ in range(1 + 2 * rank):
            with dist_autograd.context() as context_id:
                dist_autograd.backward(context_id, [ddp(nb.full((1, 2), rank + 1.0)).sum()])
                found.append(dist_autograd.get_gradients(context_id)[net.weight].tolist())
    ddp.close()
    return found


def test_workers_without_a_batch_take_part(group2):
    assert group2.call(everywhere, uneven) == [
        [[[1.5] * 2]],
        [[[1.5] * 2], [[1.0] * 2], [[1.0] * 2]],
    ]
