"""Two worlds for one program: a group, where a call goes to another worker, and one process, where a call is a call.

    def program(run, x, y):                      # x, y: leaves of worker 0
        h = run.call(1, add, x, y)               # rpc_sync, or add(x, y)
        run.backward([h.sum()])

    group3.call(across, program, "auto")         the group's gradients and absences ...
    in_one_process(program)                      ... must be these

Each worker has a leaf of its own, `Own.w`.
"""

import time
from typing import Any, NamedTuple

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import FastModeError
from tests.events import late
from tests.groups import on_all

# ---------------------------------------------------------------- what runs on other workers


class Own:
    """A leaf of each worker."""

    w: Any = None


def reset(value=2.0):
    Own.w = nb.tensor([value, value], requires_grad=True)


def add(x, y):
    return x + y


def mul(x, y):
    return x * y


def times_own(x):
    return x * Own.w


def own_alone(*_):
    """Does not depend on its arguments."""
    return Own.w * 3


def own():
    return Own.w


def identity(x):
    return x


def through(x, to):
    """Nested: this worker's leaf, then another worker's."""
    return rpc.rpc_sync(to, times_own, (times_own(x),))


def slow_vjp(x, seconds):
    y = x * 2

    def wait(g):
        time.sleep(seconds)

    y.register_hook(wait)
    return y


def late_vjp(x, name):
    """Its gradient passes when `finish(name)` was called here."""
    y = x * 2

    def wait(g):
        assert late(name)

    y.register_hook(wait)
    return y


def own_gradient(context_id):
    """Of this worker's leaf: a list, or None."""
    try:
        found = dist_autograd.get_gradients(context_id)
    except RuntimeError:
        return None
    return found[Own.w].array.tolist() if Own.w in found else None


# ---------------------------------------------------------------- the two worlds


class Here:
    """In one process."""

    def __init__(self):
        self.leaves = [nb.tensor([2.0, 2.0], requires_grad=True) for _ in range(3)]

    def call(self, to, function, *args):
        Own.w = self.leaves[to]
        if function is through:
            x, other = args
            return self.call(other, times_own, self.call(to, times_own, x))
        if function is slow_vjp:
            return args[0] * 2
        return function(*args)

    def fetch(self, to, function, *args, times=1):
        value = self.call(to, function, *args)
        return [value] * times

    def backward(self, roots, retain=False):
        nb.autograd.backward(roots, retain_graph=retain)

    def gradient(self, leaf):
        return None if leaf.grad is None else leaf.grad.array.tolist()

    def owned(self):
        return [self.gradient(leaf) for leaf in self.leaves]


class Across:
    """On the group, in one context."""

    def __init__(self, context_id, mode):
        self.context_id, self.mode = context_id, mode
        self.seconds = 0.0  # that the last pass took

    def call(self, to, function, *args):
        return rpc.rpc_sync(to, function, args)

    def fetch(self, to, function, *args, times=1):
        rref = rpc.remote(to, function, args)
        return [rref.to_here() for _ in range(times)]

    def backward(self, roots, retain=False):
        start = time.monotonic()
        try:
            dist_autograd.backward(self.context_id, roots, retain, mode=self.mode)
        finally:
            self.seconds = time.monotonic() - start

    def gradient(self, leaf):
        found = dist_autograd.get_gradients(self.context_id)
        assert leaf.grad is None
        return found[leaf].array.tolist() if leaf in found else None

    def owned(self):
        return on_all(own_gradient, self.context_id)


class Outcome(NamedTuple):
    """How a program ended on the group."""

    gradients: list  # of x, of y, and of the leaf of each worker; None: absent
    error: str | None  # the text of a FastModeError
    seconds: float  # that the last pass took
    after: list | None  # after an error: gradients of x and y of a right pass in the same context


def leaves():
    return nb.tensor([1.0, 2.0], requires_grad=True), nb.tensor([3.0, 5.0], requires_grad=True)


def across(program, mode):
    """The Outcome of a program on the group; runs in worker 0."""
    on_all(reset)
    x, y = leaves()
    error = after = None
    with dist_autograd.context() as context_id:
        run = Across(context_id, mode)
        try:
            program(run, x, y)
        except FastModeError as found:
            error = str(found)
        seconds = run.seconds
        gradients = [run.gradient(x), run.gradient(y), *run.owned()]
        if error is not None:
            run.mode = "auto"
            run.backward([run.call(1, mul, x, y).sum()])
            after = [run.gradient(x), run.gradient(y)]
    return Outcome(gradients, error, seconds, after)


def in_one_process(program):
    """The gradients, as in Outcome."""
    x, y = leaves()
    run = Here()
    program(run, x, y)
    return [run.gradient(x), run.gradient(y), *run.owned()]
