"""After a pass: what its caller must do with the gradients of a context before `backward` returns.

Data parallel training averages them over the workers, as the hooks of PyTorch's reducer do.
"""

import itertools
import weakref
from typing import Any

numbers = itertools.count()
listeners: dict[int, Any] = {}  # number -> weak method; all workers make theirs in the same order


def after_pass(method: Any) -> None:
    """Call the bound method with {leaf: gradient} after each pass of this worker, while its object lives."""
    number = next(numbers)
    listeners[number] = weakref.WeakMethod(method, lambda _: listeners.pop(number, None))


def run(gradients: dict) -> None:
    """A pass that this worker called has ended well; `gradients` is the live dict of its context."""
    for listener in list(listeners.values()):
        method = listener()
        if method is not None:
            method(gradients)
