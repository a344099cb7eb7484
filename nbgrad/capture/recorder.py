"""Recorder: one call of a step, run as always and noted on the way.

Nothing is computed differently while recording.  Where the recorder hears of what happens is in `lookout.py`.

Note [Only what was seen]
~~~~~~~~~~~~~~~~~~~~~~~~~
A replay repeats the noted calls and nothing else.  So whatever an array's way into or out of the step may be, it is either
noted or a reason not to replay:
G1 (in)    an array that an op gets was made by a noted call, was read from a tensor that was there before, or is a constant
           that nbgrad made of numbers; any other array is a reason.
G2 (out)   who reads values to do something with them in Python (`item()`, printing, NumPy, messages) is a reason; so is a
           tensor of the step that somebody still holds after it, other than in what the step returned.
G3 (over)  a write into an array that is not part of a noted call is a reason.
G4 (shapes) an op whose result has a shape that depends on values is a reason: the step's Python code may have seen that shape.
G5 (others) whatever other workers take part in (effects.py) is a reason, unless it happens inside a call that is noted as one.
"""

import gc
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from nbgrad.autograd import engine
from nbgrad.autograd.grad_buffer import add_into, added
from nbgrad.autograd.node import Node
from nbgrad.autograd.sparse import copied
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import Latest
from nbgrad.capture.prune import is_same_each_time
from nbgrad.capture.trace import (
    Op,
    Outside,
    Pull,
    Read,
    Store,
    Sum,
    Trace,
    Value,
    Wrapped,
    counted,
    replaced,
)


class Recorder:
    """Notes what one call of a step does.

    Parameters
    ----------
    inputs : list of (Tensor or ndarray)
        The arrays among the arguments of the step, in order.

    Attributes
    ----------
    trace : Trace
        What was noted.
    reason : str or None
        Why it can't be replayed.
    """

    def __init__(self, inputs: list) -> None:
        self.trace = Trace()
        self.reason: str | None = None
        self.thread = threading.get_ident()
        self.quiet = 0  # inside calls that are noted as one
        self.values: dict[int, Value] = {}  # id of an array -> what it is in the trace
        self.keep: list = []  # so that ids stay theirs
        self.read: list[int] = []  # ids of arrays that were read from tensors
        self.origins: dict[int, Any] = {}  # id of an array -> the tensor it was read from
        self.inputs = {id(x): number for number, x in enumerate(inputs)}
        self.born: dict[int, Any] = {}  # id of a tensor made in the step -> weak reference to it
        self.last_op: Op | None = None
        self.ops: dict[int, Op] = {}  # sequence number of a node -> what made it
        self.n_values = 0
        self.run: Any = engine.run  # as it is while nobody records
        self.written = Latest.seq
        self.in_call = 0  # inside a noted forward, which may write what it likes
        for number, x in enumerate(inputs):
            if isinstance(x, np.ndarray):
                self.keep.append(x)
                self.trace.steps.append(Read(self.new(x), number))

    def refuse(self, reason: str) -> None:
        """Note why the step can't be replayed; the first reason counts."""
        if self.reason is None:
            self.reason = reason

    def is_here(self) -> bool:
        return not self.quiet and threading.get_ident() == self.thread

    # ------------------------------------------------------------ values

    def new(self, array: np.ndarray, constant: bool = False) -> Value:
        """A new value, which this array is from now on."""
        self.keep.append(array)
        self.n_values += 1
        value = self.values[id(array)] = Value(self.n_values, array, constant)
        return value

    def value(self, array: np.ndarray) -> Value:
        """What an array is in the trace: Note [Only what was seen] G1."""
        found = self.values.get(id(array))
        if found is not None:
            return found
        tensor = self.origins.get(id(array))
        if tensor is not None and not self.is_born(tensor):
            value = self.new(array)
            self.trace.steps.append(Read(value, self.inputs.get(id(tensor), tensor)))
            self.read.append(id(array))
            if id(tensor) not in self.inputs:
                self.trace.reads.append(tensor)
            return value
        if array.ndim or tensor is not None:  # else it is a number, converted
            self.refuse(
                f"it computes with an array of shape {array.shape} that no operation made and no tensor held before; "
                f"pass it as an argument"
            )
        return self.new(array, True)

    def template(self, x: Any) -> Any:
        """A call's arguments with values in the places of arrays."""
        return replaced(x, self.part)

    def part(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            return Wrapped(self.value(x.array))
        return self.value(x)

    # ------------------------------------------------------------ what is noted

    def check_writes(self) -> None:
        if Latest.seq != self.written:
            self.refuse("it writes a tensor in place")

    def forward(self, name: str, forward: Callable, scope: dict) -> Callable:
        def run(*args: Any, **kwargs: Any) -> Any:
            if not self.is_here():
                return forward(*args, **kwargs)
            self.check_writes()
            given = self.template(args), self.template(kwargs)
            self.in_call += 1
            try:
                found = data, _ = forward(*args, **kwargs)
            finally:
                self.in_call -= 1
            parts = data if isinstance(data, tuple | list) else [data]
            if not all(type(part) is np.ndarray for part in parts):
                self.refuse(f"{name} gives a sparse tensor")
                return found
            if (what := counted(name, given)) is not None:
                self.refuse(f"the shape of what {what} gives depends on values")
            outs = [self.new(part) for part in parts]
            out = outs if data is not parts[0] else outs[0]
            op = Op(len(self.trace.steps), name, forward, *given, out)
            op.vjp = scope["vjp"]
            self.trace.steps.append(op)
            self.last_op, self.written = op, Latest.seq
            return found

        return run

    def next_seq(self, next_seq: Callable[[], int]) -> Callable[[], int]:
        def run() -> int:
            seq = next_seq()
            if self.last_op is not None and self.is_here():
                self.ops[seq] = self.last_op
            return seq

        return run

    def outside(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        """A call that is noted as one: `nbgrad.autograd.outside`."""
        if not self.is_here():
            return function(*args, **kwargs)
        self.check_writes()
        args = tuple(
            list(x) if hasattr(x, "__next__") else x for x in args
        )  # a generator serves once

        def change(x: Any) -> Any:
            if isinstance(x, Tensor) and id(x) in self.inputs:
                self.refuse(f"it gives an argument of its own to {function.__qualname__}")
            is_old = isinstance(x, Tensor) and not self.is_born(x)
            return x if is_old else self.part(x)

        given = replaced(args, change), replaced(kwargs, change)
        self.quiet += 1
        try:
            found = function(*args, **kwargs)
        finally:
            self.quiet -= 1
        out = None
        if isinstance(found, Tensor):
            out = self.new(found.array)
        elif found is not None:
            self.refuse(f"it uses what {function.__qualname__} returns")
        self.trace.steps.append(Outside(function, *given, out))
        # Parameters may have moved.
        for key in self.read:
            self.values.pop(key, None)
        self.read.clear()
        self.written = Latest.seq
        return found

    def is_born(self, tensor: Tensor) -> bool:
        """Whether a tensor was made in the step."""
        ref = self.born.get(id(tensor))
        return ref is not None and ref() is tensor

    # ------------------------------------------------------------ the backward pass

    def backward(self, roots: list[Tensor], seeds: list[Any], retain_graph: bool) -> None:
        """As `engine.run`, noted."""
        if not self.is_here():
            self.run(roots, seeds, retain_graph)
            return
        self.check_writes()
        order = engine.reach(roots, {})
        reason = self.obstacle(order)
        if reason is not None:
            self.refuse(reason)
        if self.reason is not None:
            self.quiet += 1
            try:
                self.run(roots, seeds, retain_graph)
            finally:
                self.quiet -= 1
            return
        sums: dict = {}
        owned: set = set()
        for node in order:
            if node.n_outputs != 1:
                sums[node] = [None] * node.n_outputs
        for root, g in zip(roots, seeds):
            if (
                id(g) not in self.values
                and id(g) not in self.origins
                and root.array.size == 1 == g.item()
            ):
                self.new(g, True)  # the 1 that a loss starts from
            self.value(g)
            self.add(sums, owned, root.node or root, root.idx, g)
        for node in order:
            g = sums.pop(node, None)
            if g is None or (type(g) is list and not any(part is not None for part in g)):
                continue
            self.pull(node, g, sums, owned)
            if not retain_graph and node.residuals is not None:
                node.release()
        for leaf, g in sums.items():
            self.trace.steps.append(Store(self.leaf(leaf), self.value(g)))
        self.quiet += 1
        for leaf, g in sums.items():
            engine.store(leaf, copied(g))
        self.quiet -= 1
        self.written = Latest.seq

    def leaf(self, leaf: Tensor) -> Any:
        number = self.inputs.get(id(leaf))
        if self.is_born(leaf):
            self.refuse("it makes a leaf that requires grad")
        if number is None:
            self.trace.reads.append(leaf)
            return leaf
        return number

    def obstacle(self, order: list[Node]) -> str | None:
        """Why a pass over these nodes can't be noted."""
        for node in order:
            if node.seq not in self.ops:
                return f"{node.name!r} was recorded before the step, or is a Function written by the user"
            if node.hooks is not None:
                return f"there are hooks, or retain_grad(), on a result of {node.name!r}"
            if self.ops[node.seq].pull is not None:
                return "it runs backward twice through the same operations"
            for edge in node.edges:
                if edge is not None and edge[0].hooks and not isinstance(edge[0], Node):
                    return "there are hooks on a leaf"
        return None

    def pull(self, node: Node, g: Any, sums: dict, owned: set) -> None:
        op = self.ops[node.seq]
        given = self.template(g)
        cotangents = node.vjp(node.residuals, g)
        step = Pull(op, given, [], [])
        op.pull = step
        self.trace.steps.append(step)
        for edge, cotangent in zip(node.edges, cotangents):
            if edge is None or cotangent is None:
                step.out.append(None)
                step.is_new.append(False)
                continue
            if type(cotangent) is not np.ndarray:
                self.refuse(f"{node.name!r} has a sparse gradient")
                cotangent = np.asarray(cotangent.to_dense())
            step.is_new.append(id(cotangent) not in self.values)
            if step.is_new[-1]:
                self.new(cotangent, is_same_each_time(op, given, cotangent))
            step.out.append(self.values[id(cotangent)])
        for edge, cotangent, value in zip(node.edges, cotangents, step.out):
            if edge is not None and value is not None:
                self.add(sums, owned, edge[0], edge[1], cotangent)

    def add(self, sums: dict, owned: set, target: Any, idx: int, cotangent: Any) -> None:
        slots, place = (sums[target], idx) if type(sums.get(target)) is list else (sums, target)
        total = slots[place] if type(slots) is list else slots.get(place)
        if total is None:
            slots[place] = cotangent
            return
        key = (target, idx)
        x, before = self.value(cotangent), self.value(total)
        if key in owned:
            add_into(cotangent, total)
            out = self.new(total)
        else:
            slots[place] = total = added(total, cotangent)
            out = self.new(total)
        self.trace.steps.append(Sum(x, before, out, key in owned))
        owned.add(key)

    def finish(self, result: Any) -> None:
        """Note what the step returned, and whether tensors of it are held elsewhere."""
        self.check_writes()
        if self.reason is None:
            self.trace.result = replaced(result, self.returned)
        if self.reason is None:
            self.check_held(result)

    def returned(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            self.refuse("it returns an array that is not a tensor")
            return None
        if not self.is_born(x):
            return x  # a parameter or an argument, say
        node = x.node
        if node is not None and node.seq in self.ops and self.ops[node.seq].pull is None:
            self.refuse(
                "it returns a result that backward has not run through; call backward inside, detach() it or use no_grad()"
            )
        return Wrapped(self.value(x.array))

    def check_held(self, result: Any) -> None:
        allowed: set = set()
        replaced(result, lambda x: allowed.add(id(x)))

        def held() -> list:
            born = (ref() for ref in self.born.values())
            return [t for t in born if t is not None and id(t) not in allowed]

        self.last_op = None
        self.origins.clear()
        self.keep.clear()
        found = held()
        if found:
            found.clear()
            gc.collect()  # exceptions and frames make cycles
            found = held()
        if found:
            shape = tuple(found[0].array.shape)
            self.refuse(
                f"a tensor of it (shape {shape}) is kept somewhere after the call; return it instead"
            )
            return
        self.check_shared(result)

    def check_shared(self, result: Any) -> None:
        """Refuse if what the step returned is kept elsewhere, too: that would stay as it was in this call."""
        parts: list = []
        collect(result, parts)
        parts = [x for x in parts if not isinstance(x, Tensor) or self.is_born(x)]
        if not parts:
            return
        known = {id(parts), *map(id, parts)}

        def is_held() -> bool:
            holders = gc.get_referrers(*parts)
            known.add(id(holders))
            return any(id(x) not in known and not isinstance(x, FrameType) for x in holders)

        if is_held() and gc.collect() >= 0 and is_held():
            self.refuse("a tensor that it returns is kept elsewhere, too; keep what it returns")


def collect(x: Any, parts: list) -> None:
    """The tensors in what a step returned, and the lists, tuples and dicts that hold them."""
    if isinstance(x, Tensor):
        parts.append(x)
    elif type(x) in (tuple, list, dict):
        inner: list = []
        for part in x.values() if type(x) is dict else x:
            collect(part, inner)
        if inner:
            parts.append(x)
            parts.extend(inner)
