"""Lowering: which recorded operations become instructions of the machine, and which.

A rule gets an `Op` (with its `Pull`) and returns the instructions of its forward and of its VJP, or None where the operation
did something else than a pointwise formula: broadcast, convert, read a view with gaps.  Instructions are exactly the formulas of
the kernels in `nbgrad.ops`, in the same order, so values have the same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbgrad.capture.trace import Op, Sum, Value


@dataclass(frozen=True)
class Instruction:
    """out = routine(*inputs): values of one shape and dtype, or numbers."""

    routine: str
    out: Value
    inputs: tuple


Lowered = tuple[list[Instruction], list[Instruction]]  # of the forward, of the VJP


def alike(*values: Any) -> bool:
    """Whether these are values of one shape and dtype that the machine takes."""
    first = values[0]
    return all(
        isinstance(v, Value) and v.is_plain and v.shape == first.shape and v.dtype == first.dtype
        for v in values
    )


def is_number(x: Any) -> bool:
    return type(x) is float or type(x) is int


def bars(op: Op) -> tuple[Any, list]:
    """The cotangent of the result, and those of the inputs that the VJP made; None for the others."""
    if op.pull is None:
        return None, [None, None]
    made = [value if new else None for value, new in zip(op.pull.out, op.pull.is_new)]
    return op.pull.g, made + [None] * (2 - len(made))


def add(op: Op) -> Lowered | None:
    x, y = op.args[:2]
    _, made = bars(op)
    if made != [None, None] or not alike(x, op.out):
        return None
    if is_number(y):
        return [Instruction("add_number", op.out, (x, y))], []
    return ([Instruction("add", op.out, (x, y))], []) if alike(x, y) else None


def sub(op: Op) -> Lowered | None:
    x, y = op.args[:2]
    g, (x_bar, y_bar) = bars(op)
    if x_bar is not None or not alike(x, op.out):
        return None
    if is_number(y):
        return [Instruction("add_number", op.out, (x, -y))], []
    if not alike(x, y) or (y_bar is not None and not alike(x, g, y_bar)):
        return None
    back = [] if y_bar is None else [Instruction("neg", y_bar, (g,))]
    return [Instruction("sub", op.out, (x, y))], back


def mul(op: Op) -> Lowered | None:
    x, y = op.args[:2]
    g, (x_bar, y_bar) = bars(op)
    if not alike(x, op.out, *[v for v in (g, x_bar, y_bar) if v is not None]):
        return None
    if is_number(y):
        back = [] if x_bar is None else [Instruction("mul_number", x_bar, (g, y))]
        return [Instruction("mul_number", op.out, (x, y))], back
    if not alike(x, y):
        return None
    back = [] if x_bar is None else [Instruction("mul", x_bar, (g, y))]
    back += [] if y_bar is None else [Instruction("mul", y_bar, (g, x))]
    return [Instruction("mul", op.out, (x, y))], back


def div(op: Op) -> Lowered | None:
    x, y = op.args[:2]
    g, (x_bar, y_bar) = bars(op)
    # The kernel for the gradient of a denominator takes one reciprocal: other bits than two instructions.
    if y_bar is not None or not alike(x, op.out, *[v for v in (g, x_bar) if v is not None]):
        return None
    if is_number(y):
        kind = "div_number"
    elif alike(x, y):
        kind = "div"
    else:
        return None
    back = [] if x_bar is None else [Instruction(kind, x_bar, (g, y))]
    return [Instruction(kind, op.out, (x, y))], back


def unary(
    name: str, slope: Callable[[Op, Value, Value], Instruction]
) -> Callable[[Op], Lowered | None]:
    """The rule of y = f(x) whose VJP is one instruction."""

    def rule(op: Op) -> Lowered | None:
        x = op.args[0]
        g, (x_bar, _) = bars(op)
        if op.args[1:] or op.kwargs or not alike(x, op.out):
            return None
        if op.pull is not None and (x_bar is None or not alike(x, g, x_bar)):
            return None
        return [Instruction(name, op.out, (x,))], [slope(op, g, x_bar)] if x_bar is not None else []

    return rule


def of_result(name: str) -> Callable[[Op, Value, Value], Instruction]:
    """x_bar = name(g, y)."""
    return lambda op, g, x_bar: Instruction(name, x_bar, (g, op.out))


RULES: dict[str, Callable[[Op], Lowered | None]] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "neg": unary("neg", lambda op, g, x_bar: Instruction("neg", x_bar, (g,))),
    "relu": unary("relu", of_result("relu_slope")),
    "exp": unary("exp", of_result("mul")),
    "tanh": unary("tanh", of_result("tanh_slope")),
    "sigmoid": unary("sigmoid", of_result("sigmoid_slope")),
}


def lowered(steps: list) -> dict[int, list[Instruction]]:
    """The instructions of each step that becomes some, by the step's place."""
    found: dict[int, list[Instruction]] = {}
    places = {id(step): place for place, step in enumerate(steps)}
    for place, step in enumerate(steps):
        if isinstance(step, Op) and step.name in RULES:
            rule = RULES[step.name](step)
            if rule is not None:
                found[place] = rule[0]
                if step.pull is not None:
                    found[places[id(step.pull)]] = rule[1]
        elif isinstance(step, Sum) and alike(step.x, step.total, step.out):
            found[place] = [Instruction("add", step.out, (step.total, step.x))]
    return found


def used(
    instructions: dict[int, list[Instruction]], steps: list, needed: set[Value]
) -> dict[int, list[Instruction]]:
    """The instructions whose results somebody uses; `needed` are the values that the other steps read."""
    needed = set(needed)
    kept: dict[int, list[Instruction]] = {}
    for place in sorted(instructions, reverse=True):
        rest: list[Instruction] = []
        for one in reversed(instructions[place]):
            if one.out in needed:
                rest.insert(0, one)
                needed.update(value for value in one.inputs if isinstance(value, Value))
        kept[place] = rest
    return kept


def fused(run: list[Instruction], n_uses: dict[Value, int]) -> list[Instruction]:
    """`add` of a product that nothing else uses becomes one instruction, with the same two roundings."""
    made = {one.out: k for k, one in enumerate(run)}
    drop: set[int] = set()
    out = list(run)
    for k, one in enumerate(run):
        if one.routine != "add":
            continue
        total, x = one.inputs
        at = made.get(x)
        if at is not None and at < k and run[at].routine == "mul" and n_uses[x] == 1:
            drop.add(at)
            out[k] = Instruction("add_product", one.out, (*run[at].inputs, total))
    return [one for k, one in enumerate(out) if k not in drop]
