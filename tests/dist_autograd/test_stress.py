"""Many threads of all workers against one worker, with calls and passes: everything comes out right, nothing wedges."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from tests.dist_autograd.test_user_code import run_all
from tests.dist_autograd.worlds import add, mul
from tests.groups import on_all

TARGET = 1  # the worker that everybody hammers


def add_one(n):
    return n + 1


def hammer(n_threads, n):
    """Threads of this worker that call the target and run passes through it; what came out wrong."""
    wrong = []

    def work(number):
        x = nb.tensor([1.0, 2.0], requires_grad=True)
        y = nb.tensor([3.0, 5.0], requires_grad=True)
        for k in range(n):
            value = 1000 * number + k
            if rpc.rpc_sync(TARGET, add_one, (value,)) != value + 1:
                wrong.append(value)
            with dist_autograd.context() as context_id:
                pending = rpc.rpc_async(TARGET, mul, (x, y))
                h = rpc.rpc_sync(TARGET, add, (x, y))
                rpc.rpc_async(TARGET, mul, (y, y)).wait()  # unused
                dist_autograd.backward(context_id, [(h * pending.wait()).sum()])
                found = dist_autograd.get_gradients(context_id)
                # d/dx (x + y) x y = 2 x y + y y, and the same for y
                expected = [[15.0, 45.0], [7.0, 24.0]]
                if [found[x].tolist(), found[y].tolist()] != expected:
                    wrong.append([found[x].tolist(), found[y].tolist()])

    run_all([(work, (number,)) for number in range(n_threads)])
    return wrong


def hammer_from_all(n_threads, n):
    futures = [rpc.rpc_async(rank, hammer, (n_threads, n), timeout=0) for rank in (1, 2)]
    return [hammer(n_threads, n), *[future.wait() for future in futures]]


def test_60_threads_on_3_workers_hammer_one(group3):
    assert group3.call(hammer_from_all, 20, 6, deadline=60.0) == [[], [], []]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_60_threads_on_3_workers_hammer_one_for_long(group3):
    assert group3.call(hammer_from_all, 20, 200, deadline=300.0) == [[], [], []]


# ---------------------------------------------------------------- nested calls


class Own:
    leaf = None


def fresh_leaf():
    Own.leaf = nb.ones(2, requires_grad=True)


def back_and_forth(x, depth):
    """A-B-A-B: each level adds this worker's leaf and calls the other worker."""
    y = x * 2 + Own.leaf
    other = 1 - rpc.get_worker_info().id
    return rpc.rpc_sync(other, back_and_forth, (y, depth - 1)) if depth else y


def leaf_gradient(context_id):
    return dist_autograd.get_gradients(context_id)[Own.leaf].tolist()


def nested_at_once(n_calls, depth):
    """All calls at once in one context, then one pass over all of them."""
    on_all(fresh_leaf)
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        futures = [rpc.rpc_async(1, back_and_forth, (x, depth)) for _ in range(n_calls)]
        total = sum([future.wait().sum() for future in futures])
        dist_autograd.backward(context_id, [total])
        mine = dist_autograd.get_gradients(context_id)[x].tolist()
        return mine, [rpc.rpc_sync(rank, leaf_gradient, (context_id,)) for rank in (0, 1)]


def test_40_nested_calls_a_b_a_b_at_once_and_their_pass(group2):
    # x is doubled 4 times; the leaves of 1, 0, 1, 0 are doubled 3, 2, 1, 0 times afterwards
    expected = [640.0] * 2, [[40.0 * (4 + 1)] * 2, [40.0 * (8 + 2)] * 2]
    assert group2.call(nested_at_once, 40, 3, deadline=30.0) == expected
