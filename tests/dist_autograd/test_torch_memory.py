"""Hooks, and to whom the memory of gradients belongs, in programs as a PyTorch user writes them.

Each `test_program` runs one function of this file on worker 0 of a group; the function checks itself.
"""

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
import nbgrad.nn.functional as F
from nbgrad import nn
from tests.dist_autograd.ways import WAYS


def hooked(x, log):
    """Hooks on the callee: before and after the node, on its result, on what came."""
    x.register_hook(lambda g: log_there("came", g))
    y = x * 3
    y.register_hook(lambda g: log_there("result", g))
    y.grad_fn.register_prehook(lambda grads: log_there("before", grads[0]))
    y.grad_fn.register_hook(lambda grads, given: log_there("after", grads[0]))
    y.grad_fn.register_hook(lambda grads, given: (grads[0] * 2,))
    return y * 1


class Log:
    """What hooks saw on this worker."""

    lines: list = []


def log_there(what, g):
    Log.lines.append((what, g.tolist()))


def take_log():
    lines, Log.lines = Log.lines, []
    return lines


def hooks_on_the_callee():
    x = nb.ones(1, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, hooked, args=(x, None)).sum()
        dist_autograd.backward(context_id, [loss])
        assert rpc.rpc_sync(1, take_log) == [
            ("result", [1.0]),
            ("before", [1.0]),
            ("after", [3.0]),
            ("came", [6.0]),
        ]
        assert dist_autograd.get_gradients(context_id)[x].tolist() == [6.0]


def hooks_on_send_and_recv():
    """Send and recv functions are nodes and take hooks."""
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        result = rpc.rpc_sync(1, nb.mul, args=(x, y))
        (send,) = dist_autograd._current_context()._send_functions().values()
        seen = []
        result.grad_fn.register_prehook(lambda grads: seen.append(("recv", len(grads))))
        send.register_prehook(lambda grads: seen.append(("send", len(grads))))
        send.register_hook(lambda grads, given: (grads[0] * 10, grads[1]))
        dist_autograd.backward(context_id, [result.sum()])
        assert seen == [("recv", 1), ("send", 2)]
        found = dist_autograd.get_gradients(context_id)
        assert found[x].tolist() == [10.0, 10.0]
        assert found[y].tolist() == [1.0, 1.0]


def hooks_may_be_removed():
    x, seen = nb.ones(2, requires_grad=True), []
    handle = x.register_hook(seen.append)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, nb.mul, args=(x, x)).sum()
        dist_autograd.backward(context_id, [loss], retain_graph=True)
        handle.remove()
        dist_autograd.backward(context_id, [loss])
    assert len(seen) == 1


class Given(nb.autograd.Function):
    """x + y; what its backward returns, and who else has that."""

    form = ""
    kept = None  # what a user's backward keeps for itself
    address = 0

    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, grad):
        made = grad * 1
        Given.kept = made if Given.form in ("kept", "view") else None
        if Given.form == "view":
            made = made.view(3, 10)
        Given.address = made.array.ctypes.data
        return made, (made if Given.form == "both" else grad * 1)


def memory_of_gradients():
    """Stolen where nobody else has it, copied where somebody has."""
    for form in ("own", "both", "kept", "view"):
        Given.form = form
        x, y = nb.ones(3, 10, requires_grad=True), nb.ones(3, 10, requires_grad=True)
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [Given.apply(x, y).sum()])
            found = dist_autograd.get_gradients(context_id)
            addresses = [found[t].array.ctypes.data for t in (x, y)]
            assert addresses.count(Given.address) == (form in ("own", "both")), form
            found[x].add_(1)
            assert nb.equal(found[y], nb.ones(3, 10))
            assert Given.kept is None or nb.equal(Given.kept, nb.ones(3, 10)), form
            dist_autograd.backward(context_id, [Given.apply(x, y).sum()])
            again = dist_autograd.get_gradients(context_id)
            assert [again[t].array.ctypes.data for t in (x, y)] == addresses
            assert nb.equal(again[x], nb.full((3, 10), 3.0))
    Given.kept = None


def not_contiguous():
    """Gradients that are strided views are right and end up as arrays of their own."""
    x, y = nb.rand(4, 3, requires_grad=True), nb.rand(3, 4, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = (rpc.rpc_sync(1, nb.add, args=(x.t(), y)) * nb.arange(12.0).reshape(3, 4)).sum()
        dist_autograd.backward(context_id, [loss])
        found = dist_autograd.get_gradients(context_id)
        assert found[x].tolist() == nb.arange(12.0).reshape(3, 4).t().tolist()
        assert found[y].tolist() == nb.arange(12.0).reshape(3, 4).tolist()


def memory_of_sparse_gradients():
    """The values of one look-up are the gradient's own; those of two are added up."""
    bag = nn.EmbeddingBag(10, 3, mode="sum", sparse=True)
    rows = nb.tensor([1, 2, 4, 5, 4, 3, 2, 9])
    offsets = nb.tensor([0, 4])
    for n_looks in (1, 2):
        with dist_autograd.context() as context_id:
            results = [bag(rows, offsets) for _ in range(n_looks)]
            loss = sum(rpc.rpc_sync(1, nb.mul, args=(r, nb.ones(2, 3))).sum() for r in results)
            dist_autograd.backward(context_id, [loss])
            grad = dist_autograd.get_gradients(context_id)[bag.weight]
            assert grad.is_sparse
            expected = np.zeros((10, 3), np.float32)
            np.add.at(expected, rows.numpy(), float(n_looks))
            assert np.array_equal(grad.to_dense().numpy(), expected)
            assert bag.weight.grad is None


def bag_loss(weight, rows, offsets):
    return F.embedding_bag(rows, weight, offsets, mode="sum", sparse=True).sum()


def embedding_bag_with_tensors_that_need_no_grad():
    weight = nb.rand(6, 2, requires_grad=True)
    rows, offsets = nb.tensor([0, 1, 1, 5]), nb.tensor([0, 2])
    for way in WAYS:
        with dist_autograd.context() as context_id:
            loss = way("worker1", bag_loss, (weight, rows, offsets))
            dist_autograd.backward(context_id, [loss])
            found = dist_autograd.get_gradients(context_id)[weight].to_dense()
            assert found.sum(1).tolist() == [2.0, 4.0, 0.0, 0.0, 0.0, 2.0]


PROGRAMS = (
    hooks_on_the_callee,
    hooks_on_send_and_recv,
    hooks_may_be_removed,
    memory_of_gradients,
    not_contiguous,
    memory_of_sparse_gradients,
    embedding_bag_with_tensors_that_need_no_grad,
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(group3, program):
    group3.call(program)
