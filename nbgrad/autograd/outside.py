"""Calls that a recorded step repeats as they are: an optimizer's step, the clipping of gradients, a schedule.

    @outside
    def step(self): ...

While `nbgrad.capture` records, it notes such a call and not the operations inside it; a replay makes the same call again, so
learning rates, counts of steps and whatever else Python keeps there go on as without recording.
"""

import functools
from collections.abc import Callable
from typing import Any


class Recording:
    """`recorder`: who records a step of this process; None nearly always."""

    recorder: Any = None


def outside(function: Callable) -> Any:
    """Decorator: a recorder notes the call as one.

    Examples
    --------
    >>> from nbgrad.autograd.outside import outside
    >>> @outside
    ... def twice(x):
    ...     return 2 * x
    >>> twice(3)
    6
    """
    if getattr(function, "is_outside", False):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = Recording.recorder
        if recorder is None:
            return function(*args, **kwargs)
        return recorder.outside(function, args, kwargs)

    call.is_outside = True  # type: ignore[attr-defined]
    return call


class OutsideSteps:
    """Base of classes whose methods `step` and `zero_grad` are outside calls, in subclasses too."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("step", "zero_grad"):
            if name in vars(cls):
                setattr(cls, name, outside(vars(cls)[name]))
