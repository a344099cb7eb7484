"""Lookout: the places where operations, backward passes and readers of arrays come by while a recorder works.

The tape pays nothing for it at other times: what stands in a place is put there for one call of a step, and taken away.

    forward of each op      noted with its arrays, as `nbgrad.autograd.watch` does it
    next_seq of each op     says which node belongs to which forward
    Tensor.array            says from which tensor an array was read, and by whom
    Tensor.grad             says who sets it
    engine.run              the backward pass
    begin_write             writes in place
    effects.PLACES          what other workers take part in
"""

import contextlib
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np

from nbgrad.autograd import buffers, derive, engine
from nbgrad.autograd.op import every
from nbgrad.autograd.outside import Recording
from nbgrad.autograd.tensor import Tensor
from nbgrad.capture import effects
from nbgrad.capture.trace import Forget

# Methods that give values to Python: what the step does then may depend on them.
LOOKS = {
    "item",
    "tolist",
    "numpy",
    "__bool__",
    "__array__",
    "__contains__",
    "__format__",
    "__repr__",
    "__reduce__",
    "__deepcopy__",
}
ROOMS = ("nbgrad.autograd.", "nbgrad.ops.", "nbgrad.nn.", "nbgrad.capture.")  # may read arrays
CONSTANT = {
    "zeros",
    "ones",
    "full",
    "zeros_like",
    "ones_like",
    "full_like",
    "arange",
    "linspace",
    "eye",
}
# Modules that make arrays of shapes and numbers, and never read values.
SHAPED = {
    "nbgrad.ops.adaptive_pool",
    "nbgrad.ops.interpolate",
    "nbgrad.ops.margin_losses",
    "nbgrad.ops.pad",
}


@contextlib.contextmanager
def stationed(recorder: Any) -> Iterator[None]:
    """Be where operations, backward passes and readers of arrays come by."""
    with contextlib.ExitStack() as stack:

        def swap(owner: Any, name: str, new: Any) -> None:
            before = owner[name] if type(owner) is dict else vars(owner)[name]
            put = owner.__setitem__ if type(owner) is dict else lambda *a: setattr(owner, *a)
            put(name, new)
            stack.callback(put, name, before)

        slot: Any = vars(Tensor)["array"]
        for op in list(every):
            scope = op.__globals__
            swap(scope, "forward", recorder.forward(op.__name__, scope["forward"], scope))
            swap(scope, "next_seq", recorder.next_seq(scope["next_seq"]))
        swap(engine, "run", recorder.backward)
        swap(
            derive,
            "sweep",
            flagged(
                recorder,
                derive.sweep,
                "it calls autograd.grad() or backward(inputs=, create_graph=)",
            ),
        )
        swap(Tensor, "array", spying(recorder, slot))
        swap(Tensor, "grad", noting_grad(recorder, vars(Tensor)["grad"]))
        stack.enter_context(effects.noticed(noticing(recorder)))
        swap(buffers, "begin_write", writing(recorder, buffers.begin_write))
        Recording.recorder = recorder
        stack.callback(setattr, Recording, "recorder", None)
        yield


def flagged(recorder: Any, function: Callable, reason: str) -> Callable:
    def run(*args: Any, **kwargs: Any) -> Any:
        if recorder.is_here():
            recorder.refuse(reason)
        return function(*args, **kwargs)

    return run


def noticing(recorder: Any) -> Callable[[str], None]:
    """An effect is about to happen: Note [Only what was seen] G5."""

    def notice(name: str) -> None:
        if recorder.is_here():
            recorder.refuse(effects.reason_of(sys._getframe(2), name))

    return notice


def writing(recorder: Any, begin_write: Callable) -> Callable:
    """Writes through `x.data` are seen here only: they count for no version."""

    def run(*args: Any, **kwargs: Any) -> Any:
        if recorder.is_here() and not recorder.in_call:
            recorder.refuse("it writes a tensor in place")
        return begin_write(*args, **kwargs)

    return run


def spying(recorder: Any, slot: Any) -> property:
    """`Tensor.array`, with a note of who reads and who sets it."""

    def get(tensor: Tensor) -> Any:
        array = slot.__get__(tensor)
        if recorder.is_here() and type(array) is np.ndarray:
            frame = sys._getframe(1)
            look(recorder, frame, array)
            if id(array) not in recorder.origins:
                recorder.origins[id(array)] = tensor
                recorder.keep.append(array)
                recorder.keep.append(None if recorder.is_born(tensor) else tensor)
        return array

    def set_(tensor: Tensor, array: Any) -> None:
        had = hasattr_slot(slot, tensor)
        slot.__set__(tensor, array)
        if recorder.is_here():
            if had:
                recorder.refuse("it gives a tensor another array")
            if type(array) is not np.ndarray:
                recorder.refuse("it makes a sparse tensor")
                return
            recorder.born[id(tensor)] = weakref.ref(tensor)
            if id(array) not in recorder.values and is_constant(sys._getframe(1)):
                recorder.new(array, True)

    return property(get, set_)


def noting_grad(recorder: Any, slot: Any) -> property:
    """`Tensor.grad`, with a note of who sets it."""

    def set_(tensor: Tensor, g: Any) -> None:
        slot.__set__(tensor, g)
        code = sys._getframe(1).f_code
        if (
            code.co_filename.startswith("<op ")
            or code.co_name == "__init__"
            or not recorder.is_here()
        ):
            return
        if g is not None:
            recorder.refuse("it sets .grad itself")
        recorder.trace.steps.append(Forget(recorder.inputs.get(id(tensor), tensor)))

    return property(slot.__get__, set_)


def look(recorder: Any, frame: FrameType, array: np.ndarray) -> None:
    """Note [Only what was seen] G2."""
    who, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
    if frame.f_code.co_filename.startswith("<op "):
        return
    if who.startswith(effects.OTHERS):
        recorder.refuse(effects.reason_of(frame))
    elif not who.startswith(ROOMS):
        what = "with NumPy or numbers" if not who.startswith("nbgrad.") else f"in {who}"
        recorder.refuse(
            f"it reads the values of a tensor ({name}, {what}), so what follows may depend on them"
        )
    elif who == "nbgrad.ops.counting":
        recorder.refuse(f"the shape of what {name}() gives depends on values")
    elif name in LOOKS or (array.ndim == 0 and who == "nbgrad.ops.index"):
        recorder.refuse(
            f"it reads the values of a tensor ({name}), so what follows may depend on them"
        )


def hasattr_slot(slot: Any, tensor: Tensor) -> bool:
    """Whether a slot of a tensor has been set."""
    try:
        slot.__get__(tensor)
    except AttributeError:
        return False
    return True


def is_constant(frame: FrameType | None) -> bool:
    """Whether a function that makes the same array each time is being called."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("nbgrad."):
        who = frame.f_globals["__name__"]
        if who in SHAPED or (who == "nbgrad.ops.creation" and frame.f_code.co_name in CONSTANT):
            return True
        frame = frame.f_back
    return False
