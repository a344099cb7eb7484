"""RRef.backward: from the owner or a user, with and without a context."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import RRefError


def triple(x):
    return (x * 3).sum()


def make_leaf():
    return nb.ones(2, requires_grad=True)


def grad_of(leaf):
    return leaf.local_value().grad


def as_owner():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.RRef(rpc.rpc_sync("worker1", triple, args=(x,)))
        loss.backward(context_id)
        across = dist_autograd.get_gradients(context_id)[x].tolist()
    rpc.RRef(triple(x)).backward()
    return across, x.grad.tolist()


def as_user():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.remote("worker1", triple, args=(x,))
        loss.backward(context_id)
        return dist_autograd.get_gradients(context_id)[x].tolist()


def user_without_context():
    rpc.remote("worker1", nb.ones, args=(1,)).backward()


def no_tensor():
    rpc.RRef("text").backward()


def test_on_the_owner(group2):
    assert group2.call(as_owner) == ([3, 3], [3, 3])


def test_by_a_user(group2):
    assert group2.call(as_user) == [3, 3]


def test_what_can_not_be_done_is_said(group2):
    with pytest.raises(RRefError, match="dist_autograd_ctx_id"):
        group2.call(user_without_context)
    with pytest.raises(RRefError, match="should contain a tensor"):
        group2.call(no_tensor)
