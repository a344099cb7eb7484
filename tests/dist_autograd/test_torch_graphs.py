"""What a context records of programs as a PyTorch user writes them.

Each `test_program` runs one function of this file on worker 0 of a group; the function checks itself.
"""

import pytest

import nbgrad as nb
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
from tests.dist_autograd.ways import WAYS, matrices, udf


def targets(node):
    """Where the edges of a node lead: other nodes, and leaves."""
    return [getattr(target, "variable", target) for target, _ in node.next_functions]


def functions(context_id):
    """(sends, recvs, known workers) of this worker's part: what their graphs look like."""
    context = dist_autograd._retrieve_context(context_id)
    sends = [
        [type(target).__name__ for target in targets(send)]
        for send in context._send_functions().values()
    ]
    below = [
        [(type(t).__name__, k) for t, k in target.next_functions]
        for send in context._send_functions().values()
        for target, _ in send.next_functions
        if isinstance(target, nb.autograd.Node)
    ]
    return sends, len(context._recv_functions()), sorted(context._known_worker_ids()), below


def graph_of_one_call():
    """w0: leaves <- send, recv <- result;  w1: recv <- add <- send."""
    for way in WAYS:
        for function in (nb.add, udf):
            x, y = matrices(True, True)
            with dist_autograd.context() as context_id:
                result = way("worker1", function, (x, y))
                context = dist_autograd._current_context()
                (send, *more) = context._send_functions().values()
                assert not more  # `to_here` asks for the value without a tensor
                first, second = targets(send)
                assert first is x
                assert second is y
                (recv,) = context._recv_functions().values()
                assert result.grad_fn is recv
                assert recv.next_functions == ()
                assert context._known_worker_ids() == {1}
                sends, n_recvs, known, below = rpc.rpc_sync(1, functions, args=(context_id,))
                assert (sends, n_recvs, known) == ([["Node"]], 1, [0])
                assert below == [[("RecvRpcBackward", 0), ("RecvRpcBackward", 1)]]


def ask_next(x, y, path):
    if not path:
        return udf(x, y)
    return rpc.rpc_sync(path[0], ask_next, args=(x, y, path[1:]))


def graph_of_nested_calls():
    """w0 -> w1 -> w2, and w0 -> w1 -> w0: each call and each reply is a pair."""
    x, y = matrices(True, True)
    for path, here in (((2,), 1), ((0,), 2), ((1,), 1)):
        with dist_autograd.context() as context_id:
            result = rpc.rpc_sync("worker1", ask_next, args=(x, y, path))
            context = dist_autograd._current_context()
            assert len(context._send_functions()) == len(context._recv_functions()) == here
            there = rpc.rpc_sync(1, functions, args=(context_id,))
            n_there = 3 if path == (1,) else 2
            assert (len(there[0]), there[1]) == (n_there, n_there)
            assert there[2] == sorted({0, *path})
            dist_autograd.backward(context_id, [result.sum()])
            assert nb.equal(dist_autograd.get_gradients(context_id)[x], nb.ones(3, 3))


def no_graph_without_grads():
    for way in WAYS:
        with dist_autograd.context() as context_id:
            result = way("worker1", nb.add, tuple(matrices(False, False)))
            context = dist_autograd._retrieve_context(context_id)
            assert not result.requires_grad
            assert result.grad_fn is None
            assert context._send_functions() == context._recv_functions() == {}
            assert rpc.rpc_sync(1, functions, args=(context_id,))[:2] == ([], 0)


def stacked(tensors, names):
    return nb.stack([*tensors, *[names[key] for key in sorted(names)]]).sum(0)


def tensors_inside_of_containers():
    """Those that require grad are edges of one send, wherever they sit; the others are none."""
    tensors = matrices(*[k % 2 == 0 for k in range(10)])
    names = {f"t{k}": t for k, t in enumerate(matrices(True, False, True))}
    names["again"] = tensors[0]
    for way in WAYS:
        with dist_autograd.context() as context_id:
            result = way("worker1", stacked, (tensors, names))
            (send,) = dist_autograd._current_context()._send_functions().values()
            expected = [t for t in [*tensors, *names.values()] if t.requires_grad][:-1]
            assert len(send.next_functions) == len(expected) == 7
            assert {id(t) for t in targets(send)} == {id(t) for t in expected}
            dist_autograd.backward(context_id, [result.sum()])
            found = dist_autograd.get_gradients(context_id)
            assert len(found) == 7
            assert nb.equal(found[tensors[0]], nb.full((3, 3), 2.0))


def swapped(x, y):
    return {"y": y, "pair": (x, y)}


def identity_on_return():
    """One object sent back twice is one object here, too."""
    x, y = matrices(True, True)
    with dist_autograd.context() as context_id:
        found = rpc.rpc_sync("worker1", swapped, args=(x, y))
        assert found["y"] is found["pair"][1]
        assert found["pair"][0] is not found["y"]
        assert found["y"].grad_fn is found["pair"][0].grad_fn
        dist_autograd.backward(context_id, [(found["y"] * 2 + found["pair"][1]).sum()])
        assert nb.equal(dist_autograd.get_gradients(context_id)[y], nb.full((3, 3), 3.0))
        assert x not in dist_autograd.get_gradients(context_id)


def wrong_shapes_in_a_context():
    """A forward that fails on the callee leaves a context in which one can go on."""
    with dist_autograd.context() as context_id:
        x, y = nb.rand(3, 3, requires_grad=True), nb.rand(6, 6, requires_grad=True)
        with pytest.raises(RuntimeError):
            rpc.rpc_sync("worker1", nb.add, args=(x, y))
        dist_autograd.backward(context_id, [rpc.rpc_sync("worker1", nb.mul, args=(x, x)).sum()])
        assert nb.equal(dist_autograd.get_gradients(context_id)[x], x.detach() * 2)


PROGRAMS = (
    graph_of_one_call,
    graph_of_nested_calls,
    no_graph_without_grads,
    tensors_inside_of_containers,
    identity_on_return,
    wrong_shapes_in_a_context,
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(group3, program):
    group3.call(program)
