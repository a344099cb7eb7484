"""Text: the Python function that replays a plan, one line per call, as a person would write the step without a tape.

    def replay(a0, a1):
        v1 = a0.array
        v2 = t0.array
        v3, r2 = f2(v1, v2, None, (False, True, False))
        ...
        v9 = empty(s3, d3)
        run(p3, v3, v9) or differs(p3)
        ...
        v5 = None                     # after its last use: memory is freed as early as in the step itself
        return Tensor(v8)

Names: `a` argument, `v` value, `r` residuals, `f` forward, `b` VJP, `t` tensor, `p` program, `k` any other object.
"""

from collections import Counter
from typing import Any

import numpy as np

from nbgrad.autograd import engine
from nbgrad.autograd.buffers import empty, is_sole
from nbgrad.autograd.grad_buffer import add_into, added
from nbgrad.autograd.sparse import copied
from nbgrad.autograd.tensor import Tensor
from nbgrad.capture.machine import interpreter
from nbgrad.capture.plan import Plan, Run
from nbgrad.capture.trace import (
    Forget,
    Op,
    Outside,
    Pull,
    Read,
    Store,
    Sum,
    Value,
    Wrapped,
    used_by,
    values_in,
)
from nbgrad.errors import ShapeError
from nbgrad.shm.binding import IN_ARENA_BYTES

PLAIN = (int, bool, str, type(None))


def keep(leaf: Tensor, box: list) -> None:
    """Add what is in the box to a leaf's gradient; without a copy if nobody else holds it."""
    g = box.pop()
    engine.store(leaf, g if is_sole(g, 1) else copied(g))


def array_of(x: Any) -> np.ndarray:
    """The array of a tensor; an array itself."""
    return x if x.__class__ is np.ndarray else x.array


def differs(run: Run) -> None:
    raise ShapeError(
        f"a compiled step met an array that is not of shape {run.shape} and {run.dtype}, C-contiguous, as while recording: "
        f"its shape depends on values; leave the operation that made it out of the step"
    )


class Text:
    """The lines of one function, and the objects that they name."""

    def __init__(self, plan: Plan, n_inputs: int) -> None:
        self.scope: dict[str, Any] = {
            "Tensor": Tensor,
            "add_into": add_into,
            "added": added,
            "array": array_of,
            "box": [],
            "copied": copied,
            "differs": differs,
            "empty": empty,
            "np_empty": np.empty,
            "keep": keep,
            "run": interpreter() if plan.runs else None,
            "store": engine.store,
        }
        self.names: dict[int, str] = {}  # id of an object -> its name
        self.plan = plan
        self.alias: dict[Value, Value] = {}  # sums in place: value -> the one whose array it is
        # In memory that nobody else has: made by a run, and for one use.
        uses = Counter(value for item in plan.items for value in gets(item))
        made = (value for run in plan.runs for value in run.gives)
        self.fresh = {value for value in made if uses[value] == 1}
        self.lines = [f"def replay({', '.join(f'a{k}' for k in range(n_inputs))}):"]
        self.last = self.last_uses()
        for place, item in enumerate(plan.items):
            self.write(place, item)
        self.add(f"return {self.expression(plan.trace.result)}")

    def function(self) -> Any:
        """The function."""
        exec(compile("\n".join(self.lines), "<replay>", "exec"), self.scope)
        return self.scope["replay"]

    def last_uses(self) -> dict[int, list[Value]]:
        """The values whose last use is at a place."""
        last: dict[Value, int] = {}
        for place, item in enumerate(self.plan.items):
            for value in gets(item):
                last[value] = place
            for value in made_by(item):
                last.setdefault(value, place)
        for value in values_in(self.plan.trace.result):
            last.pop(value, None)
        found: dict[int, list[Value]] = {}
        for value, place in last.items():
            found.setdefault(place, []).append(value)
        return found

    # ------------------------------------------------------------ names

    def add(self, line: str) -> None:
        self.lines.append(f"    {line}")

    def named(self, letter: str, thing: Any) -> str:
        name = self.names.get(id(thing))
        if name is None:
            name = self.names[id(thing)] = f"{letter}{len(self.names)}"
            self.scope[name] = thing
        return name

    def value(self, value: Value) -> str:
        while value in self.alias:
            value = self.alias[value]
        return f"v{value.number}" if value.constant is None else self.named("k", value.constant)

    def tensor(self, tensor: Any) -> str:
        return f"a{tensor}" if isinstance(tensor, int) else self.named("t", tensor)

    def expression(self, x: Any) -> str:
        """The text of a template."""
        if isinstance(x, Value):
            return self.value(x)
        if isinstance(x, Wrapped):
            return f"Tensor({self.value(x.value)})"
        if type(x) in PLAIN:
            return repr(x)
        if type(x) is tuple:
            return f"({''.join(self.expression(part) + ', ' for part in x)})"
        if type(x) is list:
            return f"[{', '.join(self.expression(part) for part in x)}]"
        if type(x) is dict and all(type(name) is str for name in x):
            return (
                "{"
                + ", ".join(f"{name!r}: {self.expression(part)}" for name, part in x.items())
                + "}"
            )
        if type(x) is slice:
            return f"slice({', '.join(self.expression(p) for p in (x.start, x.stop, x.step))})"
        return self.named("k", x)

    def call(self, args: tuple, kwargs: dict) -> str:
        parts = [self.expression(part) for part in args]
        return ", ".join(
            parts + [f"{name}={self.expression(part)}" for name, part in kwargs.items()]
        )

    # ------------------------------------------------------------ lines

    def write(self, place: int, item: Any) -> None:
        ends = self.last.get(place, [])
        if isinstance(item, Run):
            self.write_run(item)
        elif isinstance(item, Read):
            source = self.tensor(item.tensor)
            is_given = isinstance(item.tensor, int)  # it may be an array
            source = f"array({source})" if is_given else f"{source}.array"
            self.add(f"{self.value(item.out)} = {source}")
        elif isinstance(item, Op):
            outs = ", ".join(map(self.value, item.out)) if type(item.out) is list else ""
            left = f"({outs},)" if outs else self.value(item.out)
            rest = "_" if item.pull is None else f"r{item.number}"
            call = f"{self.named('f', item.forward)}({self.call(item.args, item.kwargs)})"
            self.add(f"{left}, {rest} = {call}")
        elif isinstance(item, Pull):
            left = "".join(
                f"{self.value(v) if new else '_'}, " for v, new in zip(item.out, item.is_new)
            )
            rest = f"r{item.op.number}"
            self.add(f"{left}= {self.named('b', item.op.vjp)}({rest}, {self.expression(item.g)})")
            self.add(f"{rest} = _ = None")
        elif isinstance(item, Sum):
            self.write_sum(item)
        elif isinstance(item, Store):
            leaf, g = self.tensor(item.leaf), self.value(item.value)
            if item.value in ends and item.value in self.fresh:
                self.add(f"store({leaf}, {g})")
            elif item.value in ends and item.value.constant is None:
                self.add(f"box.append({g}); {g} = None; keep({leaf}, box)")
                ends = [value for value in ends if value is not item.value]
            else:
                self.add(f"store({leaf}, copied({g}))")
        elif isinstance(item, Forget):
            self.add(f"{self.tensor(item.leaf)}.grad = None")
        elif isinstance(item, Outside):
            data = "" if item.out is None else f"{self.value(item.out)} = "
            call = f"{self.named('f', item.function)}({self.call(item.args, item.kwargs)})"
            self.add(f"{data}{call}{'.array' if data else ''}")
        aliased = set(map(self.value, self.alias.values()))
        names = [self.value(v) for v in ends if v.constant is None]
        names = sorted({name for name in names if name not in aliased})
        if names:
            self.add(f"{' = '.join(names)} = None")

    def write_run(self, run: Run) -> None:
        if not run.instructions:
            return
        for value in run.gives:
            is_small = run.size * run.dtype.itemsize < IN_ARENA_BYTES
            make = "np_empty" if is_small else "empty"
            shape, dtype = self.expression(run.shape), self.named("d", run.dtype)
            self.add(f"{self.value(value)} = {make}({shape}, {dtype})")
        arrays = ", ".join(map(self.value, (*run.gets, *run.gives)))
        program = self.named("p", run.program)
        self.add(f"run({program}, {arrays}) or differs({self.named('k', run)})")

    def write_sum(self, item: Sum) -> None:
        if item.is_owned:
            self.add(f"add_into({self.value(item.x)}, {self.value(item.total)})")
            self.alias[item.out] = item.total
        else:
            x, total = self.value(item.x), self.value(item.total)
            self.add(f"{self.value(item.out)} = added({total}, {x})")


def gets(item: Any) -> list[Value]:
    """The values that an item reads."""
    return item.gets if isinstance(item, Run) else list(used_by(item))


def made_by(item: Any) -> list[Value]:
    """The values that an item gives a name."""
    if isinstance(item, Run):
        return item.gives
    if isinstance(item, Pull):
        return [value for value, new in zip(item.out, item.is_new) if new and value is not None]
    if isinstance(item, Store | Forget):
        return []
    return list(values_in(item.out))
