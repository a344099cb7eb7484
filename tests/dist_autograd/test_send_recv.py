"""Send and recv functions, seen from the graph."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import GraphError


def give(x, y):
    return x + y, x * y


def recorded():
    """A tensor that occurs twice makes one edge; the grad_fn of both results is one recv function."""
    x, y = nb.ones(2, requires_grad=True), nb.ones(2)
    with dist_autograd.context() as context_id:
        a, b = rpc.rpc_sync("worker1", give, args=(x, x))
        c, _ = rpc.rpc_sync("worker1", give, args=(y, x))
        context = dist_autograd._retrieve_context(context_id)
        sends = list(context._send_functions().values())
        recvs = context._recv_functions()
        return (
            [len(send.next_functions) for send in sends],
            all(send.next_functions[0][0].variable is x for send in sends),
            a.grad_fn is b.grad_fn,
            a.grad_fn in recvs.values(),
            (a.output_nr, b.output_nr),
            c.grad_fn is not a.grad_fn,
            repr(a.grad_fn),
            repr(sends[0]),
        )


def plain_backward():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context():
        rpc.rpc_sync("worker1", give, args=(x, x))[0].sum().backward()


def test_edges_and_identities(group2):
    assert group2.call(recorded) == (
        [1, 1],
        True,
        True,
        True,
        (0, 1),
        True,
        "<RecvRpcBackward>",
        "<SendRpcBackward>",
    )


def test_a_plain_backward_says_what_to_call_instead(group2):
    with pytest.raises(GraphError, match="dist_autograd.backward"):
        group2.call(plain_backward)


def names_of_nodes():
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, nb.add, (nb.ones(2, requires_grad=True), 1))
        (send,) = dist_autograd._retrieve_context(context_id)._send_functions().values()
        (recv,) = dist_autograd._retrieve_context(context_id)._recv_functions().values()
        return y.grad_fn.name(), recv.name(), send.name(), send.next_functions[0][0].name()


def test_pytorch_s_names(group2):
    kind = "torch::distributed::autograd::"
    assert group2.call(names_of_nodes) == (
        f"{kind}RecvRpcBackward",
        f"{kind}RecvRpcBackward",
        f"{kind}SendRpcBackward",
        "torch::autograd::AccumulateGrad",
    )
