"""Prune: steps whose results nobody uses are left out, and gradients that are the same in each replay are kept.

    loss = y.sum(); loss.backward()

The cotangent of `y` is as many ones each time, whatever `y` is: a constant of the program, if it is small.  Then the VJP of
`sum` has nothing to do, and if the step does not return `loss`, neither has `sum`; what comes before it and after it is one run.

Only operations that can't fail, draw no random numbers and count nothing are left out.
"""

from typing import Any

from nbgrad.capture.trace import Op, Pull, Trace, Value, used_by, values_in

PURE = {"sum", "mean"}
FILLING = {"sum", "mean"}  # their VJPs look at shapes and at the cotangent alone
SMALL = 1 << 16  # bytes: writing more ones than these anew is not what a step waits for


def is_same_each_time(op: Op, g: Any, cotangent: Any) -> bool:
    """Whether the VJP of an operation makes this array in each replay."""
    return (
        op.name in FILLING
        and isinstance(g, Value)
        and g.constant is not None
        and cotangent.nbytes <= SMALL
    )


def pruned(trace: Trace) -> list:
    """The steps of a trace that do something which is used."""
    needed = set(values_in(trace.result))
    steps: list = []
    for step in reversed(trace.steps):
        if isinstance(step, Pull) and is_constant(step):
            step.op.pull = None
            continue
        if isinstance(step, Op) and step.pull is None and step.name in PURE:
            is_used = needed.intersection(values_in(step.out))
            if not is_used:
                continue
        needed.update(used_by(step))
        steps.append(step)
    return steps[::-1]


def is_constant(pull: Pull) -> bool:
    """Whether what a VJP makes is known."""
    return pull.op.name in FILLING and all(v is None or v.constant is not None for v in pull.out)
