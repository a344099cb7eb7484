"""Guards: under which circumstances a recorded step is the same step.

`key` describes one call: the arguments, and what the function sees of its surroundings.  Calls with one key are the same
program; a new key is a new recording.  What it describes, per thing:

    tensor, ndarray       shape, dtype, steps in memory, requires_grad
    module                which object, and which of its modules are in training mode
    number, string, None  its value
    anything else         which object; lists and dicts also by their length
"""

import types
from collections.abc import Callable
from operator import is_
from typing import Any

import numpy as np

from nbgrad.autograd.grad_mode import is_grad_enabled
from nbgrad.autograd.tensor import Tensor
from nbgrad.nn import Module

PLAIN = (int, float, bool, str, bytes, type(None))
CHANGING = (Module, list, dict, types.MethodType)  # of one object, `seen` may say different things


def flatten(x: Any, arrays: list) -> Any:
    """Put the tensors and arrays of an argument into `arrays`, in order; returns the description of the argument."""
    kind = type(x)
    if isinstance(x, Tensor):
        arrays.append(x)
        data: Any = x.array
        return kind, data.shape, data.dtype, data.strides, x.requires_grad
    if kind is np.ndarray:
        arrays.append(x)
        return kind, x.shape, x.dtype, x.strides
    if kind in PLAIN:
        return kind, x
    if kind is tuple or kind is list:
        return kind, tuple([flatten(part, arrays) for part in x])
    if kind is dict:
        return kind, tuple([(name, flatten(part, arrays)) for name, part in x.items()])
    return seen(x)


def seen(x: Any) -> Any:
    """The description of something that a function sees without getting it as an argument."""
    kind = type(x)
    if kind in PLAIN:
        return kind, x
    if isinstance(x, Module):
        return id(x), tuple([module.training for module in x.modules()])
    if kind is list or kind is dict:
        return id(x), len(x)
    if kind is types.MethodType:
        return id(x.__func__), seen(x.__self__)
    return id(x)


class Surroundings:
    """What a function sees: its closure, the globals it names, its defaults.

    Parameters
    ----------
    function : callable
        A function or a method; of other callables, the object itself.
    """

    def __init__(self, function: Callable) -> None:
        self.owner = getattr(
            function, "__self__", None if hasattr(function, "__code__") else function
        )
        inner = getattr(function, "__func__", function)
        if not hasattr(inner, "__code__"):
            inner = type(inner).__call__
        code = getattr(inner, "__code__", None)
        self.cells: tuple = getattr(inner, "__closure__", None) or ()
        self.globals: dict = getattr(inner, "__globals__", {})
        names = () if code is None else code.co_names
        # Functions and modules of Python are what they are; what users rebind is data.
        self.names = [
            name for name in names
            if name in self.globals and not isinstance(self.globals[name], types.ModuleType | type)
        ]  # fmt: skip
        # What `key` met last and said, where it says the same of these objects each time; one word, as threads share it.
        self.last: tuple[list, tuple] = ([], ())

    def key(self) -> tuple:
        """A description of all of it now."""
        now = self.hold()
        before, known = self.last
        if known and all(map(is_, now, before)):
            return known
        found = (seen(self.owner), *map(seen, now))
        if not any(isinstance(x, CHANGING) for x in (self.owner, *now)):
            self.last = now, found
        return found

    def hold(self) -> list:
        """What the function sees now.  Who keeps it knows that the ids in `key` stay theirs."""
        try:
            found = [cell.cell_contents for cell in self.cells]
        except ValueError:  # a variable that is not set yet
            found = [contents(cell) for cell in self.cells]
        found += [self.globals.get(name) for name in self.names]
        found.append(is_grad_enabled())
        return found


def contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that is not set yet
        return None
