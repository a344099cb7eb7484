"""Passes across workers: gradients, retained graphs, failures, threads; compared with one process."""

import os
import signal
import threading
import time
import traceback

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import BackwardError, GraphError, RpcTimeout
from tests.dist_autograd.worlds import (
    Own,
    across,
    add,
    identity,
    in_one_process,
    late_vjp,
    leaves,
    mul,
    own,
    own_gradient,
    reset,
    through,
    times_own,
)
from tests.events import PROMPT_S, finish, has_begun, new
from tests.groups import eventually, on_all

# ---------------------------------------------------------------- timeouts


def timed_out():
    (x, _), name = leaves(), new()
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, late_vjp, (x, name)).sum()
        start = time.monotonic()
        try:
            dist_autograd.backward(context_id, [loss], timeout=0.05)
        except RpcTimeout:
            seconds = time.monotonic() - start
            rpc.rpc_sync(1, finish, (name,))
            again = rpc.rpc_sync(1, add, (x, x)).sum()
            dist_autograd.backward(context_id, [again])
            return seconds, dist_autograd.get_gradients(context_id)[x].array.tolist()
    return None


def test_a_pass_may_have_a_timeout_of_its_own(group2):
    seconds, gradient = group2.call(timed_out)
    assert seconds < PROMPT_S
    assert gradient == [2.0, 2.0]


# ---------------------------------------------------------------- shapes of graphs


def chain(run, x, y):
    h = x
    for k in range(20):
        h = run.call(k % 3, add, h, y)
    run.backward([h.sum()])


def nested(run, x, y):
    run.backward([run.call(1, through, x, 2).sum()])


def nested_back(run, x, y):
    run.backward([run.call(1, through, x, 0).sum()])


def shared_leaf(run, x, y):
    total = run.call(1, times_own, x) + run.call(2, times_own, x) + run.call(1, mul, x, y) + x
    run.backward([total.sum()])


def same_tensor_twice(run, x, y):
    run.backward([run.call(1, mul, x, x).sum()])


def several_roots(run, x, y):
    run.backward([run.call(1, add, x, y).sum(), run.call(2, times_own, x).sum(), (x * y).sum()])


def root_twice(run, x, y):
    loss = run.call(1, mul, x, y).sum()
    run.backward([loss, loss])


def root_below_root(run, x, y):
    h = run.call(1, mul, x, y).sum()
    run.backward([h, run.call(2, add, h, h).sum()])


def remote_leaf(run, x, y):
    run.backward([(run.call(1, own) * run.call(2, own) * x).sum()])


def local_only(run, x, y):
    run.backward([(x * y).sum()])


def to_self(run, x, y):
    run.backward([run.call(0, times_own, run.call(0, mul, x, y)).sum()])


def retained(run, x, y):
    loss = run.call(1, mul, run.call(2, times_own, x), y).sum()
    for k in range(4):
        run.backward([loss], retain=k < 3)


def retained_with_unused(run, x, y):
    run.call(2, mul, y, y)
    loss = run.call(1, mul, run.call(2, times_own, x), y).sum()
    for k in range(3):
        run.backward([loss], retain=k < 2)


def passes_over_growing_graph(run, x, y):
    h = x
    for _ in range(4):
        h = run.call(1, mul, h, y)
        run.backward([h.sum()], retain=True)


SHAPES = [
    chain,
    nested,
    nested_back,
    shared_leaf,
    same_tensor_twice,
    several_roots,
    root_twice,
    root_below_root,
    remote_leaf,
    local_only,
    to_self,
    retained,
    retained_with_unused,
    passes_over_growing_graph,
]


@pytest.mark.parametrize("program", SHAPES)
def test_gradients_equal_those_of_one_process(group3, program):
    found = group3.call(across, program, "auto")
    assert found.error is None
    assert found.gradients == in_one_process(program)


def parameters_as_arguments():
    layer = nb.nn.Linear(3, 2)
    with dist_autograd.context() as context_id:
        x = nb.ones(1, 3)
        y = rpc.rpc_sync(1, nb.nn.functional.linear, (x, layer.weight, layer.bias))
        dist_autograd.backward(context_id, [y.sum()])
        found = dist_autograd.get_gradients(context_id)
        return [found[p].array.tolist() for p in layer.parameters()]


def test_parameters_as_arguments_are_recorded(group2):
    assert group2.call(parameters_as_arguments) == [[[1.0] * 3] * 2, [1.0] * 2]


def many_parameters(n):
    """More tensors in one message than a word has bits."""
    tensors = [nb.tensor([float(k)], requires_grad=k % 3 != 1) for k in range(n)]
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, weighted_sum, (tensors,))
        back = rpc.rpc_sync(1, identity, (tensors,))
        total = loss
        for t in back:
            total = total + t
        dist_autograd.backward(context_id, [total.sum()])
        found = dist_autograd.get_gradients(context_id)
        return [found[t].item() if t in found else None for t in tensors]


def weighted_sum(tensors):
    total = tensors[0] * 0
    for k, t in enumerate(tensors):
        total = total + t * k
    return total


@pytest.mark.parametrize("n", [1, 61, 62, 63, 64, 65, 200])
def test_any_number_of_tensors_in_a_message(group2, n):
    assert group2.call(many_parameters, n) == [None if k % 3 == 1 else k + 1.0 for k in range(n)]


def float64_and_large(n):
    x = nb.tensor(np.arange(n, dtype=np.float64), requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, mul, (x, x)) * rpc.rpc_sync(1, identity, (x,))
        dist_autograd.backward(context_id, [y.sum()])
        g = dist_autograd.get_gradients(context_id)[x].array
        return g.dtype == np.float64 and bool((g == 3 * x.array**2).all())


@pytest.mark.parametrize("n", [0, 1, 1000, 1 << 18])
def test_sizes_from_nothing_to_the_arena(group2, n):
    assert group2.call(float64_and_large, n)


# ---------------------------------------------------------------- retained and freed graphs


def freed():
    x, y = leaves()
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, mul, (x, y)).sum()
        dist_autograd.backward(context_id, [loss])
        first = dist_autograd.get_gradients(context_id)[x].array.tolist()
        try:
            dist_autograd.backward(context_id, [loss])
        except BackwardError as error:
            again = dist_autograd.get_gradients(context_id)[x].array.tolist()
            return first, again, str(error), type(error.__cause__), error.op, error.worker
    return None


def test_a_freed_graph_is_an_error_that_names_the_op(group2):
    first, again, text, cause, op, worker = group2.call(freed)
    assert first == again == [3.0, 5.0]
    assert "Trying to backward through the graph a second time" in text
    assert (cause, op, worker) == (GraphError, "mul", "worker1")


def many_retained(n):
    x, y = leaves()
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, mul, (x, y)).sum()
        for _ in range(n):
            dist_autograd.backward(context_id, [loss], retain_graph=True)
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_a_graph_may_be_used_very_often(group2):
    assert group2.call(many_retained, 300) == [900.0, 1500.0]


# ---------------------------------------------------------------- failures


class Boom(Exception):
    pass


def fails_backward(x):
    return Failing.apply(x)


class Failing(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        raise Boom("in the VJP")


def fails_at_depth(x, path):
    """Nested calls along a path of workers; the last one fails in its VJP."""
    if not path:
        return fails_backward(x)
    return rpc.rpc_sync(path[0], fails_at_depth, (x * 2, path[1:]))


def backward_fails(path):
    x, y = leaves()
    with dist_autograd.context() as context_id:
        fine = rpc.rpc_sync(1, mul, (x, y)).sum()
        loss = fails_at_depth(x, path).sum()
        try:
            dist_autograd.backward(context_id, [fine, loss], retain_graph=True)
        except BackwardError as error:
            cause = error.__cause__
            after = dist_autograd.get_gradients(context_id)
            passes = on_all(n_passes)
            dist_autograd.backward(context_id, [fine])
            right = dist_autograd.get_gradients(context_id)[x].array.tolist()
            trace = "".join(traceback.format_exception(error))
            return (
                type(cause),
                str(error),
                error.worker,
                error.op,
                trace,
                after == {},
                passes,
                right,
            )
    return None


def n_passes():
    return dist_autograd._get_debug_info()["num_current_backward_passes"]


@pytest.mark.parametrize("path", [(), (1,), (1, 2), (1, 2, 1, 0), (2, 0)])
def test_a_failure_comes_from_the_original_and_leaves_nothing(group3, path):
    worker = path[-1] if path else 0
    cause, text, name, op, trace, nothing, passes, right = group3.call(backward_fails, path)
    assert cause is Boom
    assert f"Error on Node {worker}: in the VJP (Boom)" in text
    assert (name, op) == (f"worker{worker}", "Failing")
    assert "raise Boom" in trace
    assert nothing, "gradients of a failed pass"
    assert passes == [0, 0, 0]
    assert right == [3.0, 5.0], "the context can be used again"


def fail_in_hook(x):
    y = x * 2
    y.register_hook(raise_boom)
    return y


def raise_boom(g):
    raise Boom("in the hook")


def hook_fails():
    x, _ = leaves()
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, fail_in_hook, (x,)).sum()
        try:
            dist_autograd.backward(context_id, [loss])
        except BackwardError as error:
            return type(error.__cause__), str(error.__cause__)
    return None


def test_a_hook_that_fails_fails_the_pass(group2):
    assert group2.call(hook_fails) == (Boom, "in the hook")


def fail_often(n):
    """Failures one after the other, and some at once on two workers."""
    x, y = leaves()
    for _ in range(n):
        with dist_autograd.context() as context_id:
            loss = rpc.rpc_sync(1, fails_backward, (x,)) + rpc.rpc_sync(2, fails_backward, (x,))
            with pytest.raises(BackwardError):
                dist_autograd.backward(context_id, [loss.sum()])
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [rpc.rpc_sync(1, mul, (x, y)).sum()])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_many_failures(group3):
    assert group3.call(fail_often, 60) == [3.0, 5.0]


def fail_more_often_than_there_are_rows(n):
    x, y = leaves()
    with dist_autograd.context() as context_id:
        for _ in range(n):
            loss = rpc.rpc_sync(1, fails_backward, (x,))
            with pytest.raises(BackwardError):
                dist_autograd.backward(context_id, [loss.sum()])
        fine = rpc.rpc_sync(1, mul, (x, y)).sum()
        dist_autograd.backward(context_id, [fine])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_rows_of_failed_passes_are_used_again(group2):
    assert group2.call(fail_more_often_than_there_are_rows, 1100, deadline=60.0) == [3.0, 5.0]


def fail_in_threads(n_threads, n):
    """Failing and right passes of several threads, in turns."""
    x, y = leaves()
    wrong = []

    def work():
        for _ in range(n):
            with dist_autograd.context() as context_id:
                loss = rpc.rpc_sync(1, fails_backward, (x,)) + rpc.rpc_sync(2, fails_backward, (x,))
                with pytest.raises(BackwardError):
                    dist_autograd.backward(context_id, [loss.sum()])
                dist_autograd.backward(context_id, [rpc.rpc_sync(1, mul, (x, y)).sum()])
                found = dist_autograd.get_gradients(context_id)[x].array.tolist()
                if found != [3.0, 5.0]:
                    wrong.append(found)

    run_threads(work, n_threads)
    return wrong


def run_threads(work, n):
    errors = []

    def guarded():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_failures_of_several_threads_at_once(group3):
    assert group3.call(fail_in_threads, 8, 15, deadline=60.0) == []


def interrupted():
    """Ctrl-C during a pass: at once, and everything can be used again."""
    (x, _), name, sent = leaves(), new(), []

    def interrupt():
        assert rpc.rpc_sync(1, has_begun, (name,))
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, late_vjp, (x, name)).sum()
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            dist_autograd.backward(context_id, [loss])
        except KeyboardInterrupt:
            seconds = time.monotonic() - sent[0]
            thread.join()
            rpc.rpc_sync(1, finish, (name,))
            dist_autograd.backward(context_id, [rpc.rpc_sync(1, add, (x, x)).sum()])
            return seconds, dist_autograd.get_gradients(context_id)[x].array.tolist()
    return None


def test_ctrl_c_ends_a_pass_at_once(group2):
    seconds, gradient = group2.call(interrupted)
    assert seconds < PROMPT_S
    assert gradient == [2.0, 2.0]


def released_during_a_pass():
    (x, _), name = leaves(), new()
    found = []
    context = dist_autograd._new_context()
    loss = rpc.rpc_sync(1, late_vjp, (rpc.rpc_sync(2, mul, (x, x)), name)).sum()

    def run():
        try:
            dist_autograd.backward(context.id, [loss])
        except Exception as error:
            found.append((type(error).__name__, str(error)))

    thread = threading.Thread(target=run)
    thread.start()
    assert rpc.rpc_sync(1, has_begun, (name,))
    dist_autograd._release_context(context.id)
    rpc.rpc_sync(1, finish, (name,))
    thread.join(5)
    return found


def test_a_context_released_during_its_pass_is_an_error(group3):
    ((kind, text),) = group3.call(released_during_a_pass)
    assert kind == "ContextError"
    assert "released while a backward pass of it ran" in text


# ---------------------------------------------------------------- at once


def at_once(n_threads, n):
    """Passes of several threads at once, on the same leaves, each in its own context."""
    on_all(reset)
    x, y = leaves()
    wrong = []

    def work(number):
        for k in range(n):
            with dist_autograd.context() as context_id:
                h = rpc.rpc_sync(1 + (number + k) % 2, through, (x, 2 - (number + k) % 2))
                dist_autograd.backward(context_id, [(h * y).sum()])
                found = dist_autograd.get_gradients(context_id)
                if found[x].array.tolist() != [12.0, 20.0] or found[y].array.tolist() != [4.0, 8.0]:
                    wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(wrong)


def test_passes_from_several_threads_at_once(group3):
    assert group3.call(at_once, 6, 20, deadline=60.0) == 0


def everywhere_at_once(n_threads, n):
    futures = [rpc.rpc_async(rank, at_once_here, (n_threads, n)) for rank in (1, 2)]
    return [at_once_here(n_threads, n), *[future.wait() for future in futures]]


def at_once_here(n_threads, n):
    x, y = leaves()
    wrong = []

    def work(number):
        for k in range(n):
            with dist_autograd.context() as context_id:
                h = x
                for hop in range(4):
                    h = rpc.rpc_sync((number + k + hop) % 3, mul, (h, y))
                dist_autograd.backward(context_id, [h.sum()])
                found = dist_autograd.get_gradients(context_id)
                if found[x].array.tolist() != [81.0, 625.0]:
                    wrong.append(found[x].array.tolist())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_passes_from_all_workers_at_once(group3):
    assert group3.call(everywhere_at_once, 5, 15, deadline=60.0) == [[], [], []]


def in_one_context(n_threads):
    """Passes at once in ONE context."""
    on_all(reset)
    x, y = leaves()
    with dist_autograd.context() as context_id:
        losses = [rpc.rpc_sync(1 + k % 2, mul, (x, y)).sum() for k in range(n_threads)]
        errors = []

        def work(loss):
            try:
                dist_autograd.backward(context_id, [loss])
            except Exception as error:
                errors.append(repr(error))

        threads = [threading.Thread(target=work, args=(loss,)) for loss in losses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors, dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_passes_at_once_in_one_context(group3):
    for _ in range(10):
        assert group3.call(in_one_context, 6) == ([], [18.0, 30.0])


def from_another_worker():
    """A pass that another worker calls, in a context that this one made."""
    on_all(reset)
    x, _ = leaves()
    with dist_autograd.context() as context_id:
        rref = rpc.remote(1, loss_of, (x,))
        rpc.rpc_sync(1, backward_of, (rref, context_id))
        return dist_autograd.get_gradients(context_id)[x].array.tolist(), on_all(
            own_gradient, context_id
        )


def loss_of(x):
    return (x * Own.w).sum()


def backward_of(rref, context_id):
    dist_autograd.backward(context_id, [rref.local_value()])


def test_a_pass_from_another_worker(group2):
    assert group2.call(from_another_worker) == ([2.0, 2.0], [None, [1.0, 2.0]])


def calls_in_a_hook():
    """A hook that calls makes no pair and does not join the pass."""
    x, _ = leaves()
    seen = []
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, mul, (x, x))
        y.register_hook(lambda g: seen.append(rpc.rpc_sync(1, add, (g, g)).array.tolist()))
        dist_autograd.backward(context_id, [y.sum()])
        sends = len(dist_autograd._retrieve_context(context_id)._send_functions())
        return seen, sends, dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_calls_in_hooks_do_not_join(group2):
    assert group2.call(calls_in_a_hook) == ([[2.0, 2.0]], 1, [2.0, 4.0])


def remote_hook_that_calls():
    x, _ = leaves()
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, with_calling_hook, (x,))
        dist_autograd.backward(context_id, [y.sum()])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def with_calling_hook(x):
    y = x * 2
    y.register_hook(lambda g: rpc.rpc_sync(0, add, (g, g)))
    return y


def test_remote_hooks_may_call_back(group2):
    assert group2.call(remote_hook_that_calls) == [4.0, 4.0]


def pass_in_a_hook():
    x, _ = leaves()
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, with_pass_in_hook, (x,))
        dist_autograd.backward(context_id, [y.sum()])
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def with_pass_in_hook(x):
    y = x * 2
    y.register_hook(run_another_pass)
    return y


def run_another_pass(g):
    """In a hook: a context, calls and a pass of its own."""
    z = nb.ones(2, requires_grad=True)
    with nb.enable_grad(), dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [rpc.rpc_sync(0, mul, (z, z)).sum()])
        return g * dist_autograd.get_gradients(context_id)[z]


def test_a_hook_may_run_another_pass(group2):
    assert group2.call(pass_in_a_hook) == [4.0, 4.0]


class Signal:
    event = threading.Event()


def hook_needs_a_waiting_thread():
    """Worker 1: a request waits for a call with something in its hands that the hook of a pass needs."""
    x, _ = leaves()
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, with_waiting_hook, (x,))
        busy = rpc.rpc_async(1, call_then_set)
        time.sleep(0.02)
        dist_autograd.backward(context_id, [y.sum()])
        busy.wait()
        return dist_autograd.get_gradients(context_id)[x].array.tolist()


def with_waiting_hook(x):
    Signal.event.clear()
    y = x * 2
    y.register_hook(wait_for_signal)
    return y


def wait_for_signal(g):
    if not Signal.event.wait(5):
        raise TimeoutError("nobody set the event: the hook runs on the thread that would")


def call_then_set():
    rpc.rpc_sync(0, time.sleep, (0.1,))
    Signal.event.set()


def test_a_hook_does_not_run_on_a_thread_that_it_may_need(group2):
    assert group2.call(hook_needs_a_waiting_thread) == [2.0, 2.0]


def leaks_nothing():
    return eventually(lambda: n_passes() == 0)


def test_nothing_runs_at_the_end(group3):
    assert group3.call(leaks_nothing)
