"""Programs as data: the same one runs across workers and in one process, and leaves must end with equal gradients.

A body is a list of steps; each step appends what it makes to the values of the body:

    Op("mul", 0, 3)              a local operation on two values
    Call(to, body, args, ...)    the body runs on worker `to`; its results are appended
    Fetch(k)                     to_here() of an RRef that a Call of kind "remote" made
    Backward(roots, retain)      a pass from the sums of some values (only in the outermost body)

Values of the outermost body start with worker 0's leaves; those of a called body with its arguments, then its worker's
leaves.  An index stands for `values[index % len(values)]`, so any number is valid and programs shrink well.
All values are whole numbers and all operations map whole numbers to whole numbers, so sums are exact in any order
until they outgrow the mantissa.
"""

from dataclasses import dataclass, field

import numpy as np

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import BackwardError, FastModeError, GraphError


@dataclass(frozen=True)
class Op:
    name: str
    a: int
    b: int = 0


@dataclass(frozen=True)
class Call:
    to: int
    body: "Body"
    args: tuple = ()
    kind: str = "sync"  # or "async", "remote"
    rref: int | None = None  # an RRef that travels with it


@dataclass(frozen=True)
class Fetch:
    rref: int


@dataclass(frozen=True)
class Backward:
    roots: tuple
    retain: bool = True


@dataclass(frozen=True)
class Body:
    steps: tuple = ()
    results: tuple = ()


@dataclass(frozen=True)
class Program:
    body: Body
    world: int = 3
    n_leaves: int = 2  # per worker
    size: int = 4  # elements of every value; even
    dtype: str = "float64"
    mode: str = "auto"
    seed: int = field(default=0, compare=False)


def halves(x):
    return nb.split(x, x.array.size // 2)


OPS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "max": nb.maximum,
    "relu": lambda x, y: nb.relu(x),
    "double": lambda x, y: x * 2,
    "swap": lambda x, y: nb.cat(halves(x)[::-1]),
    "first half": lambda x, y: nb.cat([halves(x)[0], halves(y)[0]]),  # of two outputs one is unused
    "spread": lambda x, y: x.sum() + y,  # broadcast
    "detach": lambda x, y: x.detach(),
    "same": lambda x, y: x,
}


def make_leaves(program, rank):
    """The leaves of one worker."""
    rng = np.random.default_rng([program.seed, rank])
    return [
        nb.tensor(rng.integers(-2, 3, program.size).astype(program.dtype), requires_grad=True)
        for _ in range(program.n_leaves)
    ]


class Machine:
    """Runs a body; subclasses say what a call, a fetch and a pass are."""

    def __init__(self, leaves):
        self.leaves = leaves

    def run(self, body, args=(), rrefs=()):
        """The results of the body."""
        values, rrefs = [*args, *self.leaves], list(rrefs)
        pending = []  # async calls: (where their results belong, future)

        def get(index):
            value = values[index % len(values)]
            return value() if callable(value) else value

        for step in body.steps:
            if isinstance(step, Op):
                values.append(OPS[step.name](get(step.a), get(step.b)))
            elif isinstance(step, Call):
                given = [get(index) for index in step.args]
                lent = [rrefs[step.rref % len(rrefs)]] if rrefs and step.rref is not None else []
                if step.kind == "remote":
                    rrefs.append(self.remote(step.to, step.body, given, lent))
                else:
                    found = self.call(step.to, step.body, given, lent, step.kind)
                    pending.append(found)
                    values += [
                        (lambda found=found, k=k: found()[k]) for k in range(len(step.body.results))
                    ]
            elif isinstance(step, Fetch):
                if rrefs:
                    values += self.fetch(rrefs[step.rref % len(rrefs)])
            else:
                for found in pending:
                    found()
                sums = {}
                for index in step.roots:
                    sums.setdefault(index % len(values), get(index).sum())
                roots = [sums[index % len(values)] for index in step.roots]
                self.backward([root for root in roots if root.requires_grad], step.retain)
        for found in pending:
            found()
        return [get(index) for index in body.results]


class OneProcess(Machine):
    """The oracle: no RPC, no context."""

    def __init__(self, program):
        self.workers = [make_leaves(program, rank) for rank in range(program.world)]
        super().__init__(self.workers[0])
        self.error = None

    def on(self, rank):
        machine = OneProcess.__new__(OneProcess)
        machine.workers, machine.leaves = self.workers, self.workers[rank]
        return machine

    def call(self, to, body, args, rrefs, kind):
        found = self.on(to).run(body, args, rrefs)
        return lambda: found

    def remote(self, to, body, args, rrefs):
        return self.on(to).run(body, args, rrefs)

    def fetch(self, rref):
        return rref

    def backward(self, roots, retain):
        if roots:
            nb.autograd.backward(roots, retain_graph=retain)


def run_here(program):
    """(gradients per worker and leaf, error) of the one-process program."""
    machine = OneProcess(program)
    error = None
    try:
        machine.run(program.body)
    except GraphError as found:
        error = str(found)
    return [
        [None if leaf.grad is None else leaf.grad.array for leaf in leaves]
        for leaves in machine.workers
    ], error


class Own:
    """The leaves of this worker."""

    leaves: list = []


def set_leaves(program):
    Own.leaves = make_leaves(program, rpc.get_worker_info().id)


def run_body(body, args, rrefs):
    return Across().run(body, args, rrefs)


class Across(Machine):
    """On real workers."""

    def __init__(self, context_id=None, mode="auto"):
        super().__init__(Own.leaves)
        self.context_id, self.mode = context_id, mode

    def call(self, to, body, args, rrefs, kind):
        future = rpc.rpc_async(to, run_body, (body, args, rrefs))
        if kind == "sync":
            future.wait()
        return future.wait

    def remote(self, to, body, args, rrefs):
        return rpc.remote(to, run_body, (body, args, rrefs))

    def fetch(self, rref):
        return rref.to_here()

    def backward(self, roots, retain):
        if roots:
            dist_autograd.backward(self.context_id, roots, retain, mode=self.mode)


def own_gradients(context_id):
    """Of this worker's leaves: arrays, or None where there is none; and whether only leaves have one."""
    try:
        found = dist_autograd.get_gradients(context_id)
    except RuntimeError:  # no message of the context ever came here
        found = {}
    assert all(key.is_leaf for key in found)
    assert all(leaf.grad is None for leaf in Own.leaves)
    return [None if leaf not in found else found[leaf].array for leaf in Own.leaves]


def run_across(program):
    """(gradients per worker and leaf, error); runs in worker 0."""
    for rank in range(program.world):
        rpc.rpc_sync(rank, set_leaves, (program,))
    error = None
    with dist_autograd.context() as context_id:
        try:
            Across(context_id, program.mode).run(program.body)
        except (BackwardError, FastModeError) as found:
            error = type(found).__name__, str(found), str(found.__cause__)
        gradients = [
            rpc.rpc_sync(rank, own_gradients, (context_id,)) for rank in range(program.world)
        ]
    return gradients, error


def compare(program, here, across):
    """Assert that both are the same: values, absences, errors."""
    (expected, fault), (found, error) = here, across
    if error is not None and error[0] == "FastModeError":
        assert program.mode == "fast", error
        return
    if fault is not None or error is not None:
        if program.mode == "fast" and error is not None and "second time" in error[2]:
            return  # explicit zeros run nodes, and free them, that one process would not have reached
        assert fault is not None, f"only across workers: {error}"
        assert error is not None, f"only in one process: {fault}"
        assert "second time" in error[2], error
        return
    for rank, leaves in enumerate(zip(expected, found, strict=True)):
        for k, (a, b) in enumerate(zip(*leaves, strict=True)):
            where = f"leaf {k} of worker {rank}"
            if a is None and program.mode == "fast":
                assert b is None or not b.any(), f"{where}: {b}, expected nothing or zeros"
                continue
            assert (a is None) == (b is None), f"{where}: {b}, expected {a}"
            if a is not None:
                assert a.dtype == b.dtype
                assert_same_sums(a, b, where)


def assert_same_sums(a, b, where):
    """Equal where sums are exact, else up to the order of summation."""
    largest = np.abs(a).max(initial=0)
    exact = largest < 2 ** (np.finfo(a.dtype).nmant - 8)
    if exact:
        np.testing.assert_array_equal(b, a, where)
    elif np.isfinite(largest):
        np.testing.assert_allclose(
            b, a, rtol=1e3 * np.finfo(a.dtype).eps, atol=1e3 * np.finfo(a.dtype).eps * largest
        )
