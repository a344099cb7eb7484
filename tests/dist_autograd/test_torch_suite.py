"""Backward passes of programs as a PyTorch user writes them, in its words.

Each `test_program` runs one function of this file on worker 0 of a group; the function checks itself.
"""

import threading

import pytest

import nbgrad as nb
import nbgrad.distributed.autograd as dist_autograd
import nbgrad.distributed.rpc as rpc
from nbgrad.errors import BackwardError
from tests.dist_autograd.ways import WAYS, gradients, locally, matrices, udf


def simple():
    x, y = matrices(True, True)
    gradients((locally, *WAYS), nb.add, x, y)
    gradients((locally, *WAYS), udf, x, y)
    gradients(WAYS, nb.mul, x, y, to="worker0")  # a call to oneself
    gradients(WAYS, nb.div, x, x)


def mixed_requires_grad(x, y, z):
    return x * y if z else x + y


def some_without_grad():
    for flags in ((True, False), (False, True)):
        gradients(WAYS, mixed_requires_grad, *matrices(*flags), True)
        gradients(WAYS, mixed_requires_grad, *matrices(*flags), False)


def first_of_three(x, y, z):
    return x * z


def unused_argument():
    x, y, z = matrices(True, True, True)
    gradients(WAYS, first_of_three, x, y, z)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, first_of_three, args=(x, y, z)).sum()
        dist_autograd.backward(context_id, [loss], mode="fast")
        assert nb.equal(dist_autograd.get_gradients(context_id)[y], nb.zeros(3, 3))


def dtypes():
    gradients(WAYS, nb.add, *[nb.rand(3, dtype=nb.float64, requires_grad=True) for _ in range(2)])
    x, n = nb.rand(3, requires_grad=True), nb.arange(3)
    gradients(WAYS, nb.mul, x, n)
    gradients(WAYS, nb.mul, x, nb.rand(3, dtype=nb.float64, requires_grad=True))


def dims():
    x, y = nb.rand(4, 6, requires_grad=True), nb.rand(6, 5, requires_grad=True)
    z, w = nb.rand(5, 7, requires_grad=True), nb.rand(7, 9, requires_grad=True)
    for way in WAYS:
        with dist_autograd.context() as context_id:
            a = way("worker1", nb.matmul, (x, y))
            b = way("worker2", nb.matmul, (a, z))
            c = way("worker1", nb.matmul, (b, w))
            dist_autograd.backward(context_id, [c.sum()])
            found = dist_autograd.get_gradients(context_id)
            assert [found[t].shape for t in (x, y, z, w)] == [t.shape for t in (x, y, z, w)]
            expected = (x.detach() @ y.detach() @ z.detach()).sum(0)
            assert nb.allclose(found[w], expected.reshape(7, 1).expand(7, 9))


def some_of_the_outputs():
    x = nb.rand(9, requires_grad=True)
    for way in WAYS:
        with dist_autograd.context() as context_id:
            parts = way("worker1", nb.split, (x, 3))
            loss = (parts[0] * 2 + parts[2]).sum()
            dist_autograd.backward(context_id, [loss])
            expected = nb.tensor([2.0] * 3 + [0.0] * 3 + [1.0] * 3)
            assert nb.equal(dist_autograd.get_gradients(context_id)[x], expected)


def several_roots():
    x, y = matrices(True, True)
    with dist_autograd.context() as context_id:
        a = rpc.rpc_sync("worker1", nb.add, args=(x, y)).sum()
        b = rpc.rpc_sync("worker1", nb.mul, args=(x, y)).sum()
        c = rpc.rpc_sync("worker2", nb.sub, args=(x, y)).sum()
        dist_autograd.backward(context_id, [a, b, c])
        found = dist_autograd.get_gradients(context_id)
        assert nb.allclose(found[x], y.detach() + 2)
        assert nb.allclose(found[y], x.detach(), atol=1e-6)  # 1 + x - 1, in any order


def backward_often():
    x, y = matrices(True, True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", nb.mul, args=(x, y)).sum()
        for count in range(1, 11):
            dist_autograd.backward(context_id, [loss], retain_graph=True)
            assert nb.allclose(dist_autograd.get_gradients(context_id)[x], y.detach() * count)


def levels(x, y):
    """Graphs on three workers, some of them several times."""
    a = rpc.rpc_sync("worker2", nb.mul, args=(x, y))
    b = rpc.rpc_sync("worker0", nb.add, args=(a, x))
    c = rpc.remote("worker2", nb.sub, args=(b, y))
    return rpc.rpc_sync("worker1", nb.mul, args=(c.to_here(), a))


def many_levels():
    x, y = matrices(True, True)
    a, b = x.detach(), y.detach()
    for way in WAYS:
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [way("worker1", levels, (x, y)).sum()])
            found = dist_autograd.get_gradients(context_id)
            assert nb.allclose(found[x], 2 * a * b * b + 2 * a * b - b * b)  # (ab + a - b) ab
            assert nb.allclose(found[y], 2 * a * a * b + a * a - 2 * a * b)


def fetched_sum(rref, x):
    return rref.to_here() + x


def rrefs():
    """Values that stay where they are: fetched here, fetched elsewhere, several at once."""
    x, y = matrices(True, True)
    with dist_autograd.context() as context_id:
        a = rpc.remote("worker1", nb.add, args=(x, y))
        b = rpc.remote("worker2", fetched_sum, args=(a, y))
        loss = (b.to_here() + a.to_here()).sum()
        dist_autograd.backward(context_id, [loss])
        found = dist_autograd.get_gradients(context_id)
        assert nb.equal(found[x], nb.full((3, 3), 2.0))
        assert nb.equal(found[y], nb.full((3, 3), 3.0))


class Simulated(nb.autograd.Function):
    """The identity; its backward fails as long as a class attribute says so."""

    fails = True

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        if Simulated.fails:
            raise Exception("Simulate error on backward pass")
        return grad


def simulated(x):
    return Simulated.apply(x)


def set_fails(value):
    Simulated.fails = value


def passes_with_errors():
    """Good passes between those that fail, in one context."""
    x, y = matrices(True, True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", simulated, args=(x * y,)).sum()
        rpc.rpc_sync("worker1", set_fails, args=(False,))
        for count in range(1, 6):
            rpc.rpc_sync("worker1", set_fails, args=(True,))
            with pytest.raises(
                BackwardError, match="Error on Node 1: .*Simulate error on backward"
            ) as at:
                dist_autograd.backward(context_id, [loss], retain_graph=True)
            assert isinstance(at.value, RuntimeError)
            rpc.rpc_sync("worker1", set_fails, args=(False,))
            dist_autograd.backward(context_id, [loss], retain_graph=True)
            assert nb.allclose(dist_autograd.get_gradients(context_id)[x], y.detach() * count)
        rpc.rpc_sync("worker1", set_fails, args=(True,))


class Owned:
    """A leaf that the callee has."""

    tensor = None


def result_with_grad(x):
    Owned.tensor = nb.ones(3, 3, requires_grad=True)
    return Owned.tensor * x


def leaf_itself():
    Owned.tensor = nb.ones(3, 3, requires_grad=True)
    return Owned.tensor


def grad_of_owned(context_id):
    return dist_autograd.get_gradients(context_id)[Owned.tensor]


def grad_only_on_the_result():
    """Arguments need no grad and the result does: its leaf gets the gradient where it lives."""
    for way in WAYS:
        with dist_autograd.context() as context_id:
            x = nb.full((3, 3), 2.0)
            loss = way("worker1", result_with_grad, (x,)).sum()
            dist_autograd.backward(context_id, [loss])
            assert dist_autograd.get_gradients(context_id) == {}
            assert nb.equal(rpc.rpc_sync(1, grad_of_owned, args=(context_id,)), x)
    with dist_autograd.context() as context_id:
        leaf = rpc.rpc_sync("worker1", leaf_itself)
        assert not leaf.is_leaf
        assert leaf.requires_grad
        dist_autograd.backward(context_id, [(leaf * 5).sum()])
        assert nb.equal(rpc.rpc_sync(1, grad_of_owned, args=(context_id,)), nb.full((3, 3), 5.0))


def futures_in_one_context():
    xs = matrices(*[True] * 20)
    with dist_autograd.context() as context_id:
        futures = [rpc.rpc_async(f"worker{k % 3}", nb.mul, args=(x, x)) for k, x in enumerate(xs)]
        loss = nb.stack([future.wait() for future in futures]).sum()
        dist_autograd.backward(context_id, [loss])
        found = dist_autograd.get_gradients(context_id)
        assert all(nb.allclose(found[x], 2 * x.detach()) for x in xs)


@rpc.functions.async_execution
def chained(x, y):
    """The reply to our caller is made by whoever finishes this future, in the caller's context all the same."""
    first = rpc.rpc_async("worker2", nb.mul, args=(x, y))
    return first.then(lambda done: done.wait() + x)


def asynchronous_functions():
    x, y = matrices(True, True)
    for way in WAYS:
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [way("worker1", chained, (x, y)).sum()])
            found = dist_autograd.get_gradients(context_id)
            assert nb.allclose(found[x], y.detach() + 1)
            assert nb.allclose(found[y], x.detach())


class Counted(nb.autograd.Function):
    """The identity; its backward notes what the worker says about itself during the pass."""

    seen = None

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        Counted.seen = dist_autograd._get_debug_info()
        return grad


def counted(x):
    return Counted.apply(x)


def seen_there():
    return Counted.seen


def debug_info():
    x = nb.ones(3, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, counted, args=(x,)).sum()
        info = dist_autograd._get_debug_info()
        assert info == {"num_current_backward_passes": 0, "num_autograd_contexts": 1}
        dist_autograd.backward(context_id, [loss])
        during = rpc.rpc_sync(1, seen_there)
        assert during == {"num_current_backward_passes": 1, "num_autograd_contexts": 1}
        info = dist_autograd._get_debug_info()
        assert info == {"num_current_backward_passes": 0, "num_autograd_contexts": 1}


class Server:
    """Parameters of worker 1, which all trainers use."""

    def __init__(self):
        self.weight = nb.full((2,), 3.0, requires_grad=True)

    def look_up(self, x):
        return self.weight * x

    def gradient(self, context_id):
        return dist_autograd.get_gradients(context_id)[self.weight]


def train(server, number, n_steps):
    """One trainer's steps; each has a context, so no gradient is mixed with another's."""
    own = nb.full((2,), float(number), requires_grad=True)
    for _ in range(n_steps):
        with dist_autograd.context() as context_id:
            loss = (server.rpc_sync().look_up(own * 2) * own).sum()
            dist_autograd.backward(context_id, [loss])
            mine = dist_autograd.get_gradients(context_id)
            assert list(mine) == [own]
            assert mine[own].tolist() == [12.0 * number] * 2
            theirs = server.rpc_sync().gradient(context_id)
            assert theirs.tolist() == [2.0 * number**2] * 2
    return number


def trainers_and_server():
    server = rpc.remote("worker1", Server)
    others = [rpc.rpc_async("worker2", train, args=(server, k, 5)) for k in (2, 3)]
    done = []
    threads = [
        threading.Thread(target=lambda k=k: done.append(train(server, k, 5))) for k in (4, 5, 6)
    ]
    for thread in threads:
        thread.start()
    assert [future.wait() for future in others] == [2, 3]
    for thread in threads:
        thread.join()
    assert sorted(done) == [4, 5, 6]


PROGRAMS = (
    simple,
    some_without_grad,
    unused_argument,
    dtypes,
    dims,
    some_of_the_outputs,
    several_roots,
    backward_often,
    many_levels,
    rrefs,
    passes_with_errors,
    grad_only_on_the_result,
    futures_in_one_context,
    asynchronous_functions,
    debug_info,
    trainers_and_server,
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(group3, program):
    group3.call(program)
