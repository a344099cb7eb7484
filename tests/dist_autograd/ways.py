"""The ways in which a PyTorch user calls another worker, and what must come out the same by all of them."""

import nbgrad as nb
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc


def by_rpc_sync(to, function, args):
    return rpc.rpc_sync(to, function, args=args)


def by_rpc_async(to, function, args):
    return rpc.rpc_async(to, function, args=args).wait()


def by_remote(to, function, args):
    return rpc.remote(to, function, args=args).to_here()


def locally(to, function, args):
    return function(*args)


WAYS = (by_rpc_sync, by_rpc_async, by_remote)


def udf(x, y):
    return nb.add(x, y)


def gradients(ways, function, *args, to="worker1"):
    """The gradients of sum(function(*args)) by all the ways are those of one process."""
    leaves = [x for x in args if isinstance(x, nb.Tensor) and x.requires_grad]
    for leaf in leaves:
        leaf.grad = None
    function(*args).sum().backward()
    expected = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    for way in ways:
        with dist_autograd.context() as context_id:
            loss = way(to, function, args).sum()
            dist_autograd.backward(context_id, [loss])
            found = dist_autograd.get_gradients(context_id)
        for leaf, grad in zip(leaves, expected):
            assert leaf.grad is None
            if grad is None:
                assert leaf not in found
            else:
                assert nb.equal(found[leaf], grad), way
                assert found[leaf].dtype == grad.dtype


def matrices(*requires_grad, size=(3, 3)):
    return [nb.rand(*size, requires_grad=needs) for needs in requires_grad]
