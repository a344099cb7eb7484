"""Sparse tensors and sparse gradients across workers: PyTorch's tests of them, against one process."""

import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad import dist_autograd, rpc
from nbgrad.autograd import Function
from nbgrad.autograd.sparse import SparseArray


def build(requires_grad=True, dtype=nb.float32):
    places, values = [[0, 1, 1], [2, 0, 2]], [3.2, 4.1, 5.3]
    return nb.sparse_coo_tensor(places, values, (3, 3), requires_grad=requires_grad, dtype=dtype)


def gradients_of(program, *leaves):
    """Gradients of a program's value in one process."""
    for leaf in leaves:
        leaf.grad = None
    nb.sparse.sum(program(lambda function, *args: function(*args), *leaves)).backward()
    return [leaf.grad for leaf in leaves]


def called_in(worker):
    return lambda function, *args: rpc.rpc_sync(worker, function, args=args)


def made_in(worker):
    return lambda function, *args: rpc.remote(worker, function, args=args).to_here()


def assert_same(found, expected):
    if expected is None:
        assert found is None
        return
    assert found.is_sparse == expected.is_sparse
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.to_dense().array, expected.to_dense().array, rtol=1e-6)


def compare(program, *leaves):
    expected = gradients_of(program, *leaves)
    for way in (called_in("worker1"), made_in("worker1"), called_in("worker0")):
        with dist_autograd.context() as context_id:
            loss = nb.sparse.sum(program(way, *leaves))
            dist_autograd.backward(context_id, [loss])
            found = dist_autograd.get_gradients(context_id)
            assert len(found) == sum(g is not None for g in expected)
            for leaf, g in zip(leaves, expected):
                assert_same(found.get(leaf), g)


def add(x, y):
    return nb.add(x, y)


def difference_or_product(x, y):
    return x - y if y.requires_grad else x * y


def nested(x, y):
    """Runs on worker 1, calls worker 0."""
    z = rpc.rpc_sync("worker0", add, args=(x * y, x + y))
    return x * y * z


def simple(call, x, y):
    return call(nb.add, x, y)


def mixed(call, x, y):
    return call(difference_or_product, x, y)


def round_trips(call, a, b, c, d, e):
    value = call(nb.mul, c, call(nb.add, a, b))
    one, two = call(nb.stack, (d, value)), call(nb.stack, (e, value))
    value = call(nb.mul, one, two)
    return call(nb.mul, value, value)


def many_leaves():
    return [build(True), build(False), build(True), build(False), build(True)]


@pytest.mark.parametrize(
    ("program", "make"),
    [
        (simple, "two"),
        (simple, "two dtypes"),
        (mixed, "two"),
        (mixed, "one leaf"),
        (round_trips, "five"),
    ],
)
def test_programs_of_sparse_tensors(group2, program, make):
    group2.call(run_named, program.__name__, make)


LEAVES = {
    "two": lambda: [build(), build()],
    "two dtypes": lambda: [build(), build(dtype=nb.float64)],
    "one leaf": lambda: [build(), build(False)],
    "five": many_leaves,
}


def run_named(program, make):
    compare({p.__name__: p for p in (simple, mixed, round_trips)}[program], *LEAVES[make]())


def nested_program():
    x, y = build(), build()
    expected = gradients_of(lambda call, x, y: x * y * (x * y + (x + y)), x, y)
    with dist_autograd.context() as context_id:
        loss = nb.sparse.sum(rpc.rpc_sync("worker1", nested, args=(x, y)))
        dist_autograd.backward(context_id, [loss], retain_graph=True)
        dist_autograd.backward(context_id, [loss])
        found = dist_autograd.get_gradients(context_id)
        for leaf, g in zip((x, y), expected):
            assert_same(found[leaf], nb.Tensor(g.array * 2))
        assert found[x].array.values.shape[0] <= 9  # sums do not grow with the passes


def test_nested_calls_and_repeated_passes(group2):
    group2.call(nested_program)


def graph():
    x, y = build(), build()
    with dist_autograd.context():
        z = rpc.rpc_sync("worker1", add, args=(x, y))
        here = dist_autograd._current_context()
        (send,), (recv,) = here._send_functions().values(), here._recv_functions().values()
        return (
            [edge[0] is leaf for edge, leaf in zip(send.edges, (x, y))],
            z.grad_fn is recv,
            z.is_sparse,
        )


def test_a_sparse_tensor_is_one_slot_of_a_message(group2):
    assert group2.call(graph) == ([True, True], True, True)


def described(values):
    return {name: (x.is_coalesced(), x.shape, x.to_dense().tolist()) for name, x in values.items()}


def sends():
    big = nb.sparse_coo_tensor([[5, 9]], np.ones((2, 40_000), np.float32), (10, 40_000))
    values = {
        "coalesced": build(False).coalesce(),
        "not": build(False),
        "integers": nb.sparse_coo_tensor([[1]], [7], (3,)),
        "nothing": nb.sparse_coo_tensor([[], []], [], (2, 2)),
    }
    assert rpc.rpc_sync("worker1", described, args=(values,)) == described(values)
    back = rpc.rpc_sync("worker1", both, args=(big, nb.ones(2)))
    assert back[0].to_dense().array.sum() == 80_000
    assert back[1].tolist() == [1, 1]


def both(x, y):
    return x, y


def test_sparse_tensors_travel_as_they_are(group2):
    group2.call(sends)


# ---------------------------------------------------------------- gradients of embeddings


INDEX, OFFSETS = nb.tensor([1, 2, 4, 5, 4, 3, 2, 9]), nb.tensor([0, 4])


def apply_remote(layer, index, offsets, scale):
    return layer.local_value()(index, offsets, scale)


def remote_gradient(layer, context_id):
    return dist_autograd.get_gradients(context_id)[layer.local_value().weight]


def made_bag():
    nb.manual_seed(3)
    return nb.nn.EmbeddingBag(16, 16, mode="sum", sparse=True)


def bag_on_another_worker():
    scale = nb.rand(8).requires_grad_()
    local = made_bag()
    result = local(INDEX, OFFSETS, scale).sum()
    result.backward(retain_graph=True)
    result.backward()
    with dist_autograd.context() as context_id:
        remote = rpc.remote("worker1", made_bag)
        arguments = (remote, INDEX, OFFSETS, scale)
        result = rpc.rpc_sync("worker1", apply_remote, args=arguments).sum()
        dist_autograd.backward(context_id, [result], retain_graph=True)
        dist_autograd.backward(context_id, [result])
        assert_same(
            rpc.rpc_sync("worker1", remote_gradient, args=(remote, context_id)), local.weight.grad
        )
        assert_same(dist_autograd.get_gradients(context_id)[scale], scale.grad)


def test_embedding_on_another_worker(group2):
    group2.call(bag_on_another_worker)


def look_up(weight):
    return F.embedding(INDEX, weight, sparse=True)


def scaled_look_up(weight):
    return look_up(weight * 2)


def weights_that_travel():
    """The sparse cotangent goes back to the weight's worker; a dense one joins it, a dense VJP takes it."""
    weight = nb.rand(10, 3).requires_grad_()
    w = nb.rand(8, 3)
    for functions in ([look_up], [look_up, look_up], [scaled_look_up], [look_up, nb.clone]):
        seen = []
        with dist_autograd.context() as context_id:
            handle = weight.register_hook(lambda g, seen=seen: seen.append(g.is_sparse))
            results = [rpc.rpc_sync("worker1", f, args=(weight,)) for f in functions]
            losses = [(y * w).sum() if len(y) == 8 else y.sum() for y in results]
            dist_autograd.backward(context_id, [sum(losses, nb.zeros(()))])
            found = dist_autograd.get_gradients(context_id)[weight]
            handle.remove()
        weight.grad = None
        results = [f(weight) for f in functions]
        sum([(y * w).sum() if len(y) == 8 else y.sum() for y in results], nb.zeros(())).backward()
        np.testing.assert_allclose(
            found.to_dense().array, weight.grad.to_dense().array, rtol=1e-5, err_msg=str(functions)
        )
        is_sparse = functions[0] is look_up and functions[-1] is look_up
        assert found.is_sparse == is_sparse
        assert seen == [is_sparse]


def test_sparse_gradients_cross_workers(group2):
    group2.call(weights_that_travel)


def fast_mode():
    weight = nb.rand(10, 3).requires_grad_()
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker1", look_up, args=(weight,))
        dist_autograd.backward(context_id, [y.sum()], mode="fast")
        found = dist_autograd.get_gradients(context_id)[weight]
    assert found.is_sparse
    assert found.to_dense().array.sum() == 24


def test_mode_fast(group2):
    group2.call(fast_mode)


class Twice(Function):
    """Gives one sparse gradient to both of its inputs."""

    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        assert g.is_sparse
        return g, g


def shared_cotangent():
    x, y = nb.rand(10, 3).requires_grad_(), nb.rand(10, 3).requires_grad_()
    with dist_autograd.context() as context_id:
        loss = F.embedding_bag(INDEX, Twice.apply(x, y), OFFSETS, sparse=True).sum()
        for _ in range(10):
            dist_autograd.backward(context_id, [loss], retain_graph=True)
        found = dist_autograd.get_gradients(context_id)
        assert not np.shares_memory(found[x].array.values, found[y].array.values)
        np.testing.assert_allclose(found[x].to_dense().array, found[y].to_dense().array)
        assert found[x].to_dense().array.sum().round(4) == 60


def test_each_leaf_has_a_gradient_of_its_own(group2):
    group2.call(shared_cotangent)


def weight_of(layer):
    return rpc.RRef(layer.local_value().weight)


def train():
    remote = rpc.remote("worker1", made_bag)
    weight = rpc.rpc_sync("worker1", weight_of, args=(remote,))
    optimizer = nb.optim.DistributedOptimizer(nb.optim.SGD, [weight], lr=0.5)
    before = weight.to_here().array.copy()
    with dist_autograd.context() as context_id:
        scale = nb.ones(8)
        loss = rpc.rpc_sync("worker1", apply_remote, args=(remote, INDEX, OFFSETS, scale)).sum()
        dist_autograd.backward(context_id, [loss])
        optimizer.step(context_id)
    moved = before - weight.to_here().array
    counts = np.bincount(INDEX.array, minlength=16)
    np.testing.assert_allclose(moved, np.repeat(counts[:, None] * 0.5, 16, 1), atol=1e-6)


def test_distributed_optimizer_steps_by_rows(group2):
    group2.call(train)


def test_arrays_of_several_parts(group2):
    group2.call(parts_of_big_messages)


def parts_of_big_messages():
    """So large that the message goes ahead in chunks, where the arena is too small."""
    n = 200_000
    x = nb.Tensor(
        SparseArray(np.arange(n).reshape(1, -1), np.ones((n, 3), np.float32), (n, 3)), True
    )
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker1", nb.mul, args=(x, 2.0))
        dist_autograd.backward(context_id, [nb.sparse.sum(y)])
        g = dist_autograd.get_gradients(context_id)[x]
    assert g.is_sparse
    assert g.array.values.sum() == 2 * 3 * n
