"""Hooks and `Function.backward` are the user's code: they may call any worker, wait for anything, and run passes of their own.

Whatever they wait for, other passes of the same workers go on, and so do calls.
"""

import threading
import time

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd import ledger
from nbgrad.errors import BackwardError, RpcTimeout
from nbgrad.rpc import state
from tests.events import PROMPT_S, WAIT_S
from tests.groups import eventually, on_all

# ---------------------------------------------------------------- what the code does


def double(g):
    return g * 2


def double_at(g, rank):
    return rpc.rpc_sync(rank, double, (g,))


def sync_everywhere(g):
    """The caller, a third worker, and this one."""
    for rank in range(3):
        assert (rpc.rpc_sync(rank, double, (g,)).array == 2 * g.array).all()


def back_and_forth(g):
    """Each worker calls every other one, which calls this one back."""
    here = rpc.get_worker_info().id
    for rank in range(3):
        assert (rpc.rpc_sync(rank, double_at, (g, here)).array == 2 * g.array).all()


def async_with_callbacks(g):
    futures = [rpc.rpc_async(rank, double, (g,)) for rank in range(3) for _ in range(4)]
    sums = [future.then(lambda done: float(done.value().array.sum())) for future in futures]
    assert [found.wait() for found in sums] == [2 * float(g.array.sum())] * 12


def references(g):
    for rank in range(3):
        rref = rpc.remote(rank, double, (g,))
        assert (rref.to_here().array == 2 * g.array).all()


def pass_of_its_own(g):
    """Over all workers, in a context of its own."""
    x = nb.ones(2, requires_grad=True)
    with nb.enable_grad(), dist_autograd.context() as context_id:
        h = x
        for rank in (1, 2, 0):
            h = rpc.rpc_sync(rank, double, (h,))
        dist_autograd.backward(context_id, [h.sum()])
        assert dist_autograd.get_gradients(context_id)[x].array.tolist() == [8.0, 8.0]


DOES = [sync_everywhere, back_and_forth, async_with_callbacks, references, pass_of_its_own]


class Custom(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x, code):
        ctx.code = code
        return x * 1

    @staticmethod
    def backward(ctx, g):
        ctx.code(g)
        return g, None


# ---------------------------------------------------------------- where it stands


class Own:
    """A leaf of this worker, and events by name."""

    leaf = None
    events: dict = {}


def event(name):
    return Own.events.setdefault(name, threading.Event())


def fresh_leaf():
    Own.leaf = nb.ones(2, requires_grad=True)
    Own.events = {}


def leaf_hook(x, code):
    Own.leaf.register_hook(lambda g: code(g))
    return x * Own.leaf


def result_hook(x, code):
    y = x * 1
    y.register_hook(lambda g: code(g))
    return y


def pre_hook(x, code):
    y = x * 1
    y.grad_fn.register_prehook(lambda grads: code(grads[0]))
    return y


def post_hook(x, code):
    y = x * 1
    y.grad_fn.register_hook(lambda grads, given: code(given[0]))
    return y


def function(x, code):
    return Custom.apply(x, code)


PLACES = [leaf_hook, result_hook, pre_hook, post_hook, function]


def through(place, code, worker):
    """x goes to worker 2 and to `worker`, whose graph has the code; the gradient of x."""
    on_all(fresh_leaf)
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        h = rpc.rpc_sync(2, double, (x,))
        h = place(h, code) if worker == 0 else rpc.rpc_sync(worker, place, (h, code))
        dist_autograd.backward(context_id, [rpc.rpc_sync(2, double, (h,)).sum()])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize("place", PLACES)
def test_code_in_every_place_may_call_everybody(group3, place, worker):
    for code in DOES:
        assert group3.call(through, place, code, worker) == [4.0, 4.0], code.__name__


def hook_of_a_leaf_of_the_caller(code):
    """The leaf whose hook it is gets gradients from both of the others."""
    x = nb.ones(2, requires_grad=True)
    x.register_hook(lambda g: code(g))
    with dist_autograd.context() as context_id:
        h = rpc.rpc_sync(1, double, (x,)) + rpc.rpc_sync(2, double, (x,))
        dist_autograd.backward(context_id, [h.sum()])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


@pytest.mark.parametrize("code", DOES)
def test_a_leaf_hook_of_the_caller(group3, code):
    assert group3.call(hook_of_a_leaf_of_the_caller, code) == [4.0, 4.0]


# ---------------------------------------------------------------- many at once


def in_threads(n_threads, n):
    """Passes of several threads, with code on all workers; what went wrong."""
    wrong = []

    def work(number):
        for k in range(n):
            x = nb.ones(2, requires_grad=True)
            x.register_hook(lambda g: sync_everywhere(g))
            place = (result_hook, pre_hook, post_hook, function)[(number + k) % 4]
            with dist_autograd.context() as context_id:
                h = x
                for rank in (1, 2, 0):
                    h = rpc.rpc_sync((rank + number) % 3, place, (h, back_and_forth))
                dist_autograd.backward(context_id, [h.sum()])
                found = dist_autograd.get_gradients(context_id)[x].array.tolist()
                if found != [1.0, 1.0]:
                    wrong.append(found)

    run_all([(work, (number,)) for number in range(n_threads)])
    return wrong


def run_all(jobs):
    """Run functions in threads; raises the first error."""
    errors = []

    def guarded(function, args):
        try:
            function(*args)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_threads_of_all(n_threads, n):
    futures = [rpc.rpc_async(rank, in_threads, (n_threads, n)) for rank in (1, 2)]
    return [in_threads(n_threads, n), *[future.wait() for future in futures]]


def test_code_of_many_passes_from_all_workers_at_once(group3):
    assert group3.call(in_threads_of_all, 4, 5, deadline=60.0) == [[], [], []]


# ---------------------------------------------------------------- code that waits keeps nobody else from going on


def wait_for_event(g):
    event("waits").set()
    assert event("go").wait(WAIT_S), "nobody could go on while this code waits"


def set_event(g):
    event("go").set()


def is_waiting():
    return event("waits").is_set()


def until_it_waits():
    assert event("waits").wait(WAIT_S)


def one_pass(place, worker, code, context_id=None):
    """A pass through `worker`, in a context of its own or in the one that is given."""
    x = nb.ones(2, requires_grad=True)
    if context_id is None:
        with dist_autograd.context() as context_id:
            return finish_pass(x, place, worker, code, context_id)
    return finish_pass(x, place, worker, code, context_id)


def finish_pass(x, place, worker, code, context_id):
    h = rpc.rpc_sync(worker, place, (x, code)) if worker else place(x, code)
    dist_autograd.backward(context_id, [h.sum()])
    return dist_autograd.get_gradients(context_id)[x].array.tolist()


def waits_for_another_pass(place, worker):
    """The code of one pass waits for that of another, which goes through the same worker."""
    on_all(fresh_leaf)
    found = []
    first = threading.Thread(
        target=lambda: found.append(one_pass(place, worker, wait_for_event)), daemon=True
    )
    first.start()
    rpc.rpc_sync(worker, until_it_waits)
    found.append(one_pass(result_hook, worker, set_event))
    first.join(WAIT_S)
    return found


@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize("place", PLACES)
def test_code_may_wait_for_another_pass_of_its_worker(group3, place, worker):
    assert group3.call(waits_for_another_pass, place, worker) == [[1.0, 1.0]] * 2


def waits_in_one_context(worker):
    """As above, both passes in one context."""
    on_all(fresh_leaf)
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        losses = [
            (rpc.rpc_sync(worker, result_hook, (x, code)) if worker else result_hook(x, code)).sum()
            for code in (wait_for_event, set_event)
        ]
        run_all([(dist_autograd.backward, (context_id, [loss])) for loss in losses])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


@pytest.mark.parametrize("worker", [0, 1])
def test_code_may_wait_for_another_pass_of_its_context(group3, worker):
    assert group3.call(waits_in_one_context, worker) == [2.0, 2.0]


def waits_for_a_call():
    """The code waits for a call to its worker, made by a thread that is not in the pass."""
    on_all(fresh_leaf)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(one_pass(result_hook, 1, wait_for_event)), daemon=True
    )
    thread.start()
    rpc.rpc_sync(1, until_it_waits)
    rpc.rpc_sync(1, set_event, (None,))
    thread.join(WAIT_S)
    return found


def test_code_may_wait_for_a_call(group3):
    assert group3.call(waits_for_a_call) == [[1.0, 1.0]]


def called_from_elsewhere():
    """Worker 1 calls the pass for worker 0, whose thread waits for that call, and whose leaf has a hook that calls."""
    x = nb.ones(2, requires_grad=True)
    x.register_hook(lambda g: back_and_forth(g))
    with dist_autograd.context() as context_id:
        loss = rpc.remote(1, loss_of, (x,))
        rpc.rpc_sync(1, backward_of, (loss, context_id))
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def loss_of(x):
    return (x * 3).sum()


def backward_of(loss, context_id):
    dist_autograd.backward(context_id, [loss.local_value()])


def test_a_hook_of_a_worker_whose_thread_waits_for_the_caller_of_the_pass(group3):
    assert group3.call(called_from_elsewhere) == [3.0, 3.0]


# ---------------------------------------------------------------- code that fails, or takes too long


def fail_there(g):
    return rpc.rpc_sync(0, raise_value_error, (g,))


def raise_value_error(g):
    raise ValueError("on another worker")


def call_that_fails(worker):
    on_all(fresh_leaf)
    with pytest.raises(BackwardError, match="on another worker") as caught:
        one_pass(function, worker, fail_there)
    return type(caught.value.__cause__), caught.value.op, one_pass(result_hook, worker, double)


@pytest.mark.parametrize("worker", [0, 1])
def test_a_call_of_the_code_that_fails_fails_the_pass(group3, worker):
    assert group3.call(call_that_fails, worker) == (ValueError, "Custom", [2.0, 2.0])


def wait_here(g):
    wait_for_event(g)
    event("ended").set()


def wait_there(g):
    rpc.rpc_sync(2, wait_for_event, (g,))
    event("ended").set()


def out_of_time(place, worker, code, timeout=0.05):
    """A pass whose code ends after its timeout: (seconds until it is told, after the timeout; a pass meanwhile)."""
    on_all(fresh_leaf)
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        h = rpc.rpc_sync(worker, place, (x, code)) if worker else place(x, code)
        start = time.monotonic()
        with pytest.raises(RpcTimeout, match="backward pass"):
            dist_autograd.backward(context_id, [h.sum()], timeout=timeout)
        seconds = time.monotonic() - start - timeout
        if timeout < WAIT_S / 4 and not any(on_all(is_waiting)):
            return out_of_time(place, worker, code, 3 * timeout)  # a busy machine had not got there
        after = finish_pass(x, result_hook, worker, double, context_id)
    on_all(set_event, None)
    rpc.rpc_sync(worker, wait_for_end)
    return seconds, after


def hook_after_the_end():
    """The pass is dropped while one hook waits; the hook of the leaf, which would be next, must not be called."""
    on_all(fresh_leaf)
    x, called = nb.ones(2, requires_grad=True), []
    x.register_hook(called.append)
    with dist_autograd.context() as context_id:
        h = result_hook(x, wait_here)
        with pytest.raises(RpcTimeout):
            dist_autograd.backward(context_id, [h.sum()], timeout=0.05)
        set_event(None)
    engine = state.agent().engine
    row = engine.address(engine.failed_rows[-1])
    return eventually(lambda: ledger.units(row) == 0), called


def test_no_hook_is_called_once_the_pass_has_failed(group2):
    assert group2.call(hook_after_the_end) == (True, [])


def interrupted(n):
    """Ctrl-C while hooks of the calling thread run: rows of such passes can be used again."""
    x = nb.ones(2, requires_grad=True)
    engine = state.agent().engine
    before = engine.n_rows
    for k in range(n):
        with dist_autograd.context() as context_id:
            h = sum([rpc.rpc_sync(1 + j % 2, double, (x,)) for j in range(6)])
            if k % 2:
                h.register_hook(interrupt)
            else:
                x.register_hook(interrupt)
            with pytest.raises(KeyboardInterrupt):
                dist_autograd.backward(context_id, [h.sum()])
            x.hooks.clear()
    return engine.n_rows - before, one_pass(result_hook, 1, double)


def interrupt(g):
    raise KeyboardInterrupt


def test_ctrl_c_in_a_hook_leaves_nothing(group3):
    n_rows, gradient = group3.call(interrupted, 30)
    assert n_rows < 10
    assert gradient == [2.0, 2.0]


def wait_for_end():
    assert event("ended").wait(WAIT_S)


@pytest.mark.parametrize("code", [wait_here, wait_there])
@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize("place", [leaf_hook, result_hook, function])
def test_a_timeout_ends_a_pass_whatever_its_code_does(group3, place, worker, code):
    seconds, after = group3.call(out_of_time, place, worker, code)
    assert -0.01 < seconds < PROMPT_S  # the code would wait for WAIT_S
    assert after == [2.0, 2.0]
