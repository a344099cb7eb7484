"""What a recorded step consists of: values, and what was done with them, in order.

    Read     value = tensor.array                      an argument or a tensor that was there before
    Op       value(s), residuals = forward(values)    with the Pull that ran its VJP, if one did
    Pull     values = vjp(residuals, values)
    Sum      value = value + value                    cotangents that meet
    Store    leaf.grad += value
    Forget   leaf.grad = None
    Outside  function(...)                            an optimizer's step, say

A `Value` stands for one array.  Arguments of calls are templates: the objects that were passed, with values in the
places of arrays, however deep in tuples, lists, dicts and slices.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor


class Value:
    """One array of the recorded step.

    Parameters
    ----------
    number : int
        Its name.
    array : ndarray
        What it was while recording; only its form counts later.
    constant : bool
        Whether it is this very array in each replay.
    """

    __slots__ = ("constant", "dtype", "is_plain", "number", "shape", "size")

    def __init__(self, number: int, array: np.ndarray, constant: bool = False) -> None:
        self.number = number
        self.shape, self.dtype, self.size = array.shape, array.dtype, array.size
        # what the interpreter of `nbgrad.capture.machine` takes
        self.is_plain = array.flags.c_contiguous and array.dtype in (np.float32, np.float64)
        self.constant = array if constant else None

    def __repr__(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True)
class Wrapped:
    """A tensor of a value, in a template."""

    value: Value


@dataclass
class Read:
    out: Value
    tensor: Any  # a Tensor, or the number of an argument


@dataclass
class Op:
    number: int
    name: str
    forward: Callable
    args: tuple
    kwargs: dict
    out: Any  # a Value, or a list of them
    vjp: Callable | None = None
    pull: "Pull | None" = None


@dataclass
class Pull:
    op: Op
    g: Any  # a Value, or a list of (Value or None)
    out: list  # of (Value or None), one per edge
    is_new: list  # whether the VJP made it, or gave back what was there


@dataclass
class Sum:
    x: Value
    total: Value
    out: Value
    is_owned: bool  # `total` is a buffer of the pass: it may be written


@dataclass
class Store:
    leaf: Any  # a Tensor, or the number of an argument
    value: Value


@dataclass
class Forget:
    leaf: Any  # a Tensor, or the number of an argument


@dataclass
class Outside:
    function: Callable
    args: tuple
    kwargs: dict
    out: Value | None


@dataclass
class Trace:
    """One recorded call.  `result` is the template of what the step returned."""

    steps: list = field(default_factory=list)
    result: Any = None
    reads: list = field(default_factory=list)  # tensors that were there before


def values_in(template: Any) -> Iterator[Value]:
    """The values in a template."""
    if isinstance(template, Value):
        yield template
    elif isinstance(template, Wrapped):
        yield template.value
    elif isinstance(template, tuple | list):
        for part in template:
            yield from values_in(part)
    elif isinstance(template, dict):
        yield from values_in(list(template.values()))
    elif isinstance(template, slice):
        yield from values_in([template.start, template.stop, template.step])


def counted(name: str, given: Any) -> str | None:
    """What an op does if the shape of what it gives depends on values."""
    masks = (value.dtype == bool and value.constant is None for value in values_in(given))
    if name == "indexed" and any(masks):
        return "indexing with a mask"
    return name if name == "bincount" else None


def used_by(step: Any) -> Iterator[Value]:
    """The values that a step reads."""
    if isinstance(step, Op | Outside):
        yield from values_in([step.args, step.kwargs])
    elif isinstance(step, Pull):
        yield from values_in(step.g)
    elif isinstance(step, Sum):
        yield step.x
        yield step.total
    elif isinstance(step, Store):
        yield step.value


def replaced(x: Any, change: Callable[[Any], Any]) -> Any:
    """`x` with `change` applied to the arrays and tensors in it."""
    if isinstance(x, np.ndarray | Tensor):
        return change(x)
    if type(x) in (tuple, list):
        return type(x)(replaced(part, change) for part in x)
    if type(x) is dict:
        return {name: replaced(part, change) for name, part in x.items()}
    if type(x) is slice:
        return slice(*[replaced(part, change) for part in (x.start, x.stop, x.step)])
    return x
