"""A VJP that fails anywhere: what the caller gets, and that all can go on."""

import threading
import traceback

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.autograd.anomaly import site_of
from nbgrad.dist_autograd.context import thread
from nbgrad.errors import BackwardError, GraphError, RemoteError


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
    assert text.startswith("Error on Node 1: ")
    assert ("test_failure.py:" in text) == note_sites
    assert cause == "KeyError"
    assert "in backward" in traceback
    assert where == ("worker1", 1)
    assert after == {}  # nothing of the failed pass is kept
    assert gradient == [2, 2]  # the same context goes on


# ---------------------------------------------------------------- errors that can't be rebuilt, and ends of programs


class TwoParts(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("has a lock")
        self.lock = threading.Lock()


ERRORS = {
    "1 and 2 (TwoParts)": lambda: TwoParts(1, 2),
    "has a lock (Unpicklable)": Unpicklable,
    "3 (SystemExit)": lambda: SystemExit(3),
    "several (1 sub-exception) (ExceptionGroup)": lambda: ExceptionGroup("several", [ValueError()]),
}


class Raise(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x, text):
        ctx.text = text
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        raise ERRORS[ctx.text]()


def raise_later(x, text):
    return Raise.apply(x, text)


def fail_with(text):
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker1", raise_later, args=(x, text))
        try:
            dist_autograd.backward(context_id, [y.sum()])
        except BackwardError as error:
            found = str(error), getattr(error.__cause__, "remote_traceback", "")
        dist_autograd.backward(context_id, [rpc.rpc_sync("worker1", square, args=(x,)).sum()])
        return *found, dist_autograd.get_gradients(context_id)[x].tolist()


@pytest.mark.parametrize("text", ERRORS)
def test_any_exception_is_named_and_ends_no_worker(group2, text):
    told, traceback, gradient = group2.call(fail_with, text)
    assert told.startswith(f"Error on Node 1: {text}\n")
    assert "raise ERRORS[ctx.text]()" in traceback
    assert gradient == [2, 2]


def fail_here():
    x, raised = nb.ones(2, requires_grad=True), KeyError("here")

    def hook(g):
        raise raised

    x.register_hook(hook)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", square, args=(x,)).sum()
        try:
            dist_autograd.backward(context_id, [loss])
        except BackwardError as error:
            frames = traceback.extract_tb(error.__cause__.__traceback__)
            return error.__cause__ is raised, frames[-1].name
    return None


def test_a_failure_of_the_caller_is_the_exception_itself_with_its_frames(group2):
    assert group2.call(fail_here) == (True, "hook")


# ---------------------------------------------------------------- the wrong context


def backward_in_another_context(is_open):
    x = nb.ones(2, requires_grad=True)
    first = dist_autograd._new_context()
    loss = rpc.rpc_sync("worker1", square, args=(x,)).sum()
    if is_open:
        thread.context = None  # as if another thread had opened the first
    else:
        dist_autograd._release_context(first.id)
    try:
        with dist_autograd.context() as context_id:
            dist_autograd.backward(context_id, [loss])
    except BackwardError as error:
        return str(error), type(error.__cause__)
    finally:
        if is_open:
            dist_autograd._release_context(first.id)
    return None


@pytest.mark.parametrize("is_open", [True, False])
def test_a_graph_of_another_context_is_told(group2, is_open):
    text, cause = group2.call(backward_in_another_context, is_open)
    assert "came from worker 'worker1' in another autograd context" in text
    assert cause is GraphError


# ---------------------------------------------------------------- where calls were made


def sites_of_sends():
    x = nb.ones(2, requires_grad=True)
    with nb.autograd.detect_anomaly(), dist_autograd.context():
        y = rpc.rpc_sync("worker1", square, args=(x,))
        rpc.rpc_sync("worker1", square, args=(y,))
        return [
            site_of(send) for send in dist_autograd._current_context()._send_functions().values()
        ]


def test_sends_note_the_line_of_the_call(group2):
    first, second = group2.call(sites_of_sends)
    assert first.rsplit(":", 1)[0] == second.rsplit(":", 1)[0] == __file__
    assert int(first.rsplit(":", 1)[1]) + 1 == int(second.rsplit(":", 1)[1])


def make_nan(x):
    return x.sqrt()


def nan_there():
    x = nb.zeros(2, requires_grad=True)
    rpc.rpc_sync("worker1", set_sites, args=(True,))
    try:
        with dist_autograd.context() as context_id:
            y = rpc.rpc_sync("worker1", make_nan, args=(x,))
            with pytest.raises(BackwardError) as caught:
                dist_autograd.backward(context_id, [(y * 0).sum()])
            return str(caught.value), type(caught.value.__cause__).__name__
    finally:
        rpc.rpc_sync("worker1", set_sites, args=(False,))


def test_nan_is_an_anomaly_where_that_is_looked_for(group2):
    text, kind = group2.call(nan_there)
    assert kind == "NonFiniteError"
    assert "Function 'sqrt' returned nan values in its 0th output" in text
    assert "test_failure.py:" in text
