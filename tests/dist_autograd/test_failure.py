"""A VJP that fails anywhere: what the caller gets, and that all can go on."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import BackwardError, RemoteError


class Boom(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        raise KeyError("boom")


def explode(x):
    return Boom.apply(x)


def square(x):
    return x * x


def fail(note_sites):
    x = nb.ones(2, requires_grad=True)
    if note_sites:
        rpc.rpc_sync("worker1", set_sites, args=(True,))
    try:
        with dist_autograd.context() as context_id:
            y = rpc.rpc_sync("worker1", explode, args=(x,))
            try:
                dist_autograd.backward(context_id, [y.sum()])
            except BackwardError as error:
                after = dist_autograd.get_gradients(context_id)
                z = rpc.rpc_sync("worker1", square, args=(x,))
                dist_autograd.backward(context_id, [z.sum()])
                cause = error.__cause__
                remote = cause if isinstance(cause, RemoteError) else cause.__cause__
                return (
                    str(error),
                    type(cause).__name__,
                    remote.remote_traceback,
                    (error.worker, error.rank),
                    after,
                    dist_autograd.get_gradients(context_id)[x].tolist(),
                )
    finally:
        rpc.rpc_sync("worker1", set_sites, args=(False,))


def set_sites(mode):
    nb.autograd.set_detect_anomaly(mode)


@pytest.mark.parametrize("note_sites", [False, True])
def test_a_remote_vjp_that_raises(group2, note_sites):
    text, cause, traceback, where, after, gradient = group2.call(fail, note_sites)
    assert text.startswith("Error on Node 1: KeyError")
    assert ("test_failure.py:" in text) == note_sites
    assert cause == "KeyError"
    assert "in backward" in traceback
    assert where == ("worker1", 1)
    assert after == {}  # nothing of the failed pass is kept
    assert gradient == [2, 2]  # the same context goes on
