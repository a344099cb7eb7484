"""The joint: what is recorded when tensors cross, and what is not."""

import warnings

import nbgrad as nb
from nbgrad import dist_autograd, nn, rpc


def double(x):
    return x * 2


def is_recording(x):
    return nb.is_grad_enabled(), (x * 2).requires_grad


def outside():
    x = nb.ones(2, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            y = rpc.rpc_sync("worker1", double, args=(x,))
        rpc.rpc_sync("worker1", double, args=(nb.ones(2),))
    return [str(w.message) for w in caught], y.requires_grad, y.is_leaf


def without_grad():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        with nb.no_grad():
            there = rpc.rpc_sync("worker1", is_recording, args=(x,))
        context = dist_autograd._retrieve_context(context_id)
        return there, context._send_functions(), context._known_worker_ids()


def parameter():
    p = nn.Parameter(nb.ones(2))
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [rpc.rpc_sync("worker1", double, args=(p,)).sum()])
        return dist_autograd.get_gradients(context_id)[p].tolist()


def to_self():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker0", double, args=(x,))
        shared = y.array is x.array
        dist_autograd.backward(context_id, [y.sum()])
        sends = dist_autograd._retrieve_context(context_id)._send_functions()
        return shared, len(sends), dist_autograd.get_gradients(context_id)[x].tolist()


def test_outside_of_a_context_one_warning_per_line(group2):
    told, requires_grad, is_leaf = group2.call(outside)
    assert len(told) == 1
    assert "no gradient will flow back" in told[0]
    assert requires_grad
    assert is_leaf


def test_no_grad_holds_on_both_sides(group2):
    there, sends, known = group2.call(without_grad)
    assert there == (False, False)
    assert sends == {}
    assert known == {1}


def test_a_parameter_is_recorded_like_any_tensor(group2):
    assert group2.call(parameter) == [2, 2]


def test_a_call_to_oneself_copies_and_is_a_pair(group2):
    assert group2.call(to_self) == (False, 2, [2, 2])
