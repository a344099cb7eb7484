"""Hooks of nodes in a pass across workers: of operations, of both ends of a message, of leaves."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import BackwardError


class There:
    seen: list = []


def double(x):
    return x * 2


def swap(x, y):
    return y * 2, x * 3


def watched(x):
    """Both kinds of hooks on an operation of the callee."""
    There.seen = []
    y = x * 2
    y.grad_fn.register_prehook(lambda given: There.seen.append(("pre", values(given))))
    y.grad_fn.register_hook(lambda found, given: There.seen.append((values(found), values(given))))
    return y


def seen_there():
    return There.seen


def values(tensors):
    return [None if t is None else t.tolist() for t in tensors]


def leaf(*shape):
    return nb.ones(*shape, requires_grad=True)


def hooks_there():
    x = leaf(2)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, watched, (x,))
        dist_autograd.backward(context_id, [(y * 3).sum()])
        return rpc.rpc_sync(1, seen_there)


def test_of_an_operation_on_another_worker(group2):
    pre, post = group2.call(hooks_there)
    assert pre == ("pre", [[3, 3]])
    assert post == ([[6, 6], None], [[3, 3]]) or post == ([[6, 6]], [[3, 3]])


def hooks_of_messages():
    x, told = leaf(2), []
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, double, (x,))
        (send,) = dist_autograd._current_context()._send_functions().values()
        ends = {"recv": y.grad_fn, "send": send, "leaf": send.next_functions[0][0]}
        for name, node in ends.items():
            node.register_prehook(lambda given, name=name: told.append((name, values(given))))
            node.register_hook(
                lambda found, given, name=name: told.append((name, values(found), values(given)))
            )
        dist_autograd.backward(context_id, [(y * 3).sum()])
        return told, dist_autograd.get_gradients(context_id)[x].tolist()


def test_of_both_ends_of_a_message_and_of_the_leaf(group2):
    told, gradient = group2.call(hooks_of_messages)
    assert told == [
        ("recv", [[3, 3]]),
        ("recv", [], [[3, 3]]),
        ("send", [[6, 6]]),
        ("send", [[6, 6]], [[6, 6]]),
        ("leaf", [[6, 6]]),
        ("leaf", [], [[6, 6]]),
    ]
    assert gradient == [6, 6]


def replacing():
    """Each end replaces one of its two gradients, or takes it away."""
    x, y = leaf(1), leaf(1)
    with dist_autograd.context() as context_id:
        a, b = rpc.rpc_sync(1, swap, (x, y))
        (send,) = dist_autograd._current_context()._send_functions().values()
        a.grad_fn.register_prehook(lambda given: (given[0] * 10, given[1]))  # y: 2 -> 20
        send.register_hook(lambda found, given: (None, found[1] + 1))  # x: gone, y: 21
        dist_autograd.backward(context_id, [(a + b).sum()])
        found = dist_autograd.get_gradients(context_id)
        return x in found, found[y].tolist()


def test_what_they_return_goes_on(group2):
    assert group2.call(replacing) == (False, [21])


def absent_in_fast():
    """Where nothing comes back there is no hook, but mode "fast" says zero."""

    class Cut(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return None

    x, told, found = leaf(2), [], {}
    for mode in ("auto", "fast"):
        with dist_autograd.context() as context_id:
            y = rpc.rpc_sync(1, double, (x,))
            y.grad_fn.register_prehook(told.append)
            dist_autograd.backward(context_id, [Cut.apply(y).sum()], mode=mode)
            gradients = dist_autograd.get_gradients(context_id)
            found[mode] = gradients[x].tolist() if x in gradients else None
    return found, told


def test_a_gradient_of_none_is_absent_in_auto_and_zero_in_fast(group2):
    assert group2.call(absent_in_fast) == ({"auto": None, "fast": [0, 0]}, [])


def failing_hook(place):
    def fail(*grads):
        raise KeyError(place)

    x = leaf(3)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, double, (x,))
        z = y * 3
        (send,) = dist_autograd._current_context()._send_functions().values()
        {
            "of op 'mul'": z.grad_fn.register_hook,
            "of op 'recv_rpc'": y.grad_fn.register_prehook,
            "of op 'send_rpc'": send.register_hook,
            "of a leaf of shape (3,)": x.register_hook,
        }[place](fail)
        try:
            dist_autograd.backward(context_id, [z.sum()])
        except BackwardError as error:
            return str(error), type(error.__cause__), error.op, error.worker
    return None


@pytest.mark.parametrize(
    ("place", "op"),
    [
        ("of op 'mul'", "mul"),
        ("of op 'recv_rpc'", "recv_rpc"),
        ("of op 'send_rpc'", "send_rpc"),
        ("of a leaf of shape (3,)", None),
    ],
)
def test_a_hook_that_fails_is_named(group2, place, op):
    text, cause, named, worker = group2.call(failing_hook, place)
    assert f"failed on worker 'worker0' in a hook {place}" in text
    assert cause is KeyError
    assert (named, worker) == (op, "worker0")


def kept_sums():
    """What a hook keeps stays as it was, though a second pass adds to the gradient."""
    x, kept = leaf(1), []
    x.register_hook(kept.append)
    with dist_autograd.context() as context_id:
        loss = (rpc.rpc_sync(1, double, (x,)) + x).sum()
        dist_autograd.backward(context_id, [loss], retain_graph=True)
        dist_autograd.backward(context_id, [loss])
        return values(kept), dist_autograd.get_gradients(context_id)[x].tolist()


def test_what_hooks_keep_is_never_written(group2):
    assert group2.call(kept_sums) == ([[3], [3]], [6])


def stored_hook():
    x, told = leaf(1), []
    x.register_post_accumulate_grad_hook(told.append)
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [rpc.rpc_sync(1, double, (x,)).sum()])
    return told


def test_hooks_that_wait_for_grad_are_not_called(group2):
    assert group2.call(stored_hook) == []
