"""nb.compile: record a training step once, then replay it without building a graph.

step = nb.compile(step)

call ──► key of the call ──► a program of that key? ── yes ──► replay
         (guard.py)              │ no                           (text.py, plan.py, machine.py)
                                 └──► run as always and record (recorder.py) ──► program, or a reason not to
"""

import functools
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbgrad.autograd.anomaly import Trace as Anomaly
from nbgrad.autograd.outside import Recording
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.watch import Watch
from nbgrad.capture.guard import Surroundings, flatten
from nbgrad.capture.lookout import stationed
from nbgrad.capture.plan import Plan
from nbgrad.capture.recorder import Recorder
from nbgrad.capture.text import Text

MAX_PROGRAMS = 16
lock = threading.RLock()  # one recording at a time: it takes the places of a whole process


@dataclass(frozen=True)
class Statistics:
    """What a compiled step has done.

    Attributes
    ----------
    recordings, replays, eager : int
        Calls that recorded, replayed, or ran as without compile.
    runs, instructions : int
        Native calls of the last program over pointwise instructions, and how many of these.
    """

    recordings: int
    replays: int
    eager: int
    runs: int
    instructions: int


class Program:
    """A recorded call, ready to be replayed."""

    def __init__(self, recorder: Recorder, inputs: list, held: list) -> None:
        trace = recorder.trace
        self.plan = Plan(trace)
        text = Text(self.plan, len(inputs))
        self.text = "\n".join(text.lines)
        self.replay = text.function()
        self.held = held
        tensors = {id(t): t for t in trace.reads}
        self.tensors = [
            (t, t.array.shape, t.array.dtype, t.array.strides, t.requires_grad)
            for t in tensors.values()
        ]

    def fits(self) -> bool:
        """Whether the tensors that the step finds in its surroundings are as they were while recording."""
        for tensor, shape, dtype, strides, requires_grad in self.tensors:
            data = tensor.array
            if (
                data.shape != shape
                or data.dtype != dtype
                or data.strides != strides
                or tensor.requires_grad is not requires_grad
                or tensor.hooks
                or tensor.node is not None
            ):
                return False
        return True


class Compiled:
    """A step that is recorded at its first call, see `compile`.

    Attributes
    ----------
    reason : str or None
        Why calls run as without compile; None while all is well.
    """

    def __init__(self, function: Callable) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.surroundings = Surroundings(function)
        self.programs: dict[Any, Program | None] = {}
        self.reason: str | None = None
        self.last: Program | None = None
        self.lock = threading.RLock()  # the programs have memory of their own
        self.n_recordings = self.n_replays = self.n_eager = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if (
            Recording.recorder is not None
            or Watch.record is not None
            or Anomaly.on
            or Anomaly.checks
        ):
            return self.eager(
                args, kwargs
            )  # part of another step, or somebody wants to see each operation
        inputs: list = []
        try:
            given = flatten(args, inputs) if args else None
            named = flatten(kwargs, inputs) if kwargs else None
            key = given, named, self.surroundings.key()
            program: Any = self.programs.get(key, self)
        except (TypeError, AttributeError):  # an argument without a hash, a sparse tensor
            self.give_up("an argument is neither a dense tensor nor something with a hash")
            return self.eager(args, kwargs)
        with self.lock:
            if program is self or (isinstance(program, Program) and not program.fits()):
                return self.record(key, inputs, args, kwargs)
            if program is None or any(is_part(x) for x in inputs):
                return self.eager(args, kwargs)
            self.n_replays += 1
            self.last = program
            return program.replay(*inputs)

    def eager(self, args: tuple, kwargs: dict) -> Any:
        self.n_eager += 1
        return self.function(*args, **kwargs)

    def record(self, key: Any, inputs: list, args: tuple, kwargs: dict) -> Any:
        """Run the step and make a program of it, if that can be."""
        if len(self.programs) >= MAX_PROGRAMS:
            self.give_up(
                f"it was recorded {MAX_PROGRAMS} times, each time with other arguments or surroundings: shapes, numbers, "
                f"lists that grow"
            )
            return self.eager(args, kwargs)
        if any(is_part(x) for x in inputs):
            self.give_up("an argument is the result of a recorded operation, or has hooks")
            return self.eager(args, kwargs)
        if len({id(x) for x in inputs}) != len(inputs):
            self.give_up("one tensor is given as two arguments")
            return self.eager(args, kwargs)
        if not lock.acquire(blocking=False):  # another thread records
            return self.eager(args, kwargs)
        try:
            recorder = Recorder(inputs)
            with stationed(recorder):
                result = self.function(*args, **kwargs)
                recorder.finish(result)
        finally:
            lock.release()
        self.n_recordings += 1
        self.programs[key] = None
        if recorder.reason is None:
            self.programs[key] = self.last = Program(
                recorder, inputs, [args, kwargs, self.surroundings.hold()]
            )
        else:
            self.give_up(recorder.reason)
        return result

    def give_up(self, reason: str) -> None:
        """Keep the reason, and say it once."""
        if self.reason is None:
            name = getattr(self.function, "__qualname__", repr(self.function))
            warnings.warn(
                f"nb.compile: {name} runs as without compile, because {reason}", stacklevel=4
            )
        self.reason = reason

    def statistics(self) -> Statistics:
        """What it has done so far."""
        runs = self.last.plan.runs if self.last is not None else []
        return Statistics(
            self.n_recordings,
            self.n_replays,
            self.n_eager,
            len(runs),
            sum(len(run.instructions) for run in runs),
        )


def is_part(x: Any) -> bool:
    """Whether a tensor hangs on a graph that exists before the step, or has hooks."""
    return isinstance(x, Tensor) and (x.node is not None or bool(x.hooks))


def compile(step: Callable) -> Compiled:
    """Record a training step at its first call, and replay it at the next ones.

    Forward, backward and the optimizer's step become a list of calls over arrays; runs of pointwise operations become
    instructions of one native call each.  No graph is built.  The numbers are those of the step itself, bit for bit.

    A call with other shapes, dtypes, numbers or other objects in the step's closure is recorded again.  Tensors and modules
    from outside are read anew each time, so updated parameters and loaded states count.  A step that can't be replayed
    runs as without compile; a warning says why, once, and `.reason` keeps it.

    Parameters
    ----------
    step : callable
        Takes and returns tensors, numbers, and tuples, lists and dicts of them.

    Returns
    -------
    Compiled
        To be called as `step`, with `.reason` and `.statistics()`.

    Notes
    -----
    Python code of the step that is no operation on tensors (counting, appending numbers) runs while recording only.  Steps and
    clipping of optimizers and steps of schedules are calls of their own and run each time; so do random numbers of
    dropout.  What a replay returns is detached.

    A step falls back that reads values (`item()`, `if loss > 1`), makes tensors whose shape depends on values (`x[x > 0]`),
    writes tensors in place itself, has hooks, keeps tensors elsewhere than in what it returns, draws random tensors, uses
    sparse gradients, second derivatives, an `autograd.Function`, other workers or process groups.

    Examples
    --------
    >>> import nbgrad as nb
    >>> w = nb.ones(2, requires_grad=True)
    >>> @nb.compile
    ... def step(x):
    ...     w.grad = None
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     return loss
    >>> step(nb.tensor([1.0, 2.0])), step(nb.tensor([3.0, 4.0]))
    (tensor(3., grad_fn=<SumBackward0>), tensor(7.))
    >>> w.grad
    tensor([3., 4.])
    >>> step.statistics().replays
    1
    """
    return Compiled(step)
