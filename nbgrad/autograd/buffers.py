"""Where the memory of results comes from, and how it may be written in place.

Results of 64 KiB and more are born in this worker's arena, if it is in a group, so that sending them copies nothing; else in
memory of freed arrays, if there is some of their size (reuse.py).
Storage there is a *value*: who was sent it never sees a later write.  So every write in place asks `writable` first (which
moves the tensor to fresh memory if somebody else holds the old), or brackets a long write by `begin_write` and `end_write`.
"""

import sys
import weakref
from typing import Any

import numpy as np

from nbgrad.autograd.alias import Unnoted
from nbgrad.autograd.reuse import Reuse, install
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import note_write, owner, version_of
from nbgrad.errors import DtypeError, GraphError
from nbgrad.jit.maker import set_allocator
from nbgrad.shm import arena
from nbgrad.shm.binding import IN_ARENA_BYTES, block_of, current

np_empty = np.empty


def empty(shape: tuple, dtype: np.dtype) -> np.ndarray:
    """An uninitialized, C-contiguous array."""
    array = np_empty(shape, dtype)  # costs nothing until it is touched
    if array.nbytes >= IN_ARENA_BYTES:
        if current:
            shared = current[-1].empty(array.shape, array.dtype)
            if shared is not None:
                return shared
        elif not Reuse.is_decided and install():
            return np_empty(shape, dtype)
    return array


set_allocator(empty)  # results that kernels make


def empty_like(array: np.ndarray) -> np.ndarray:
    """An uninitialized, C-contiguous array of the same shape and dtype."""
    return empty(array.shape, array.dtype)


def begin_write(tensor: Tensor, what: str = "a write in place") -> np.ndarray:
    """The tensor's array, to be written until `end_write`: meanwhile nobody can take a snapshot of it.

    If somebody holds the memory (a message, another worker), the tensor moves to a copy of its own first.  Else the write is
    noted, under the name `what`: Note [Versions] of versions.py.

    Raises
    ------
    GraphError
        If the array is read-only for another reason.
    """
    array = tensor.array
    block = block_of(array)
    if block:
        # Note [Holders] of arena.py, V1 and V2.
        if array.flags.writeable and arena.begin_write(block):
            if getattr(tensor, "view_of", None).__class__ is not Unnoted:
                note_write(array, what)
            return array
        fresh = move(tensor)
        block = block_of(fresh)
        if block:
            arena.begin_write(block)
        return fresh
    if not array.flags.writeable:
        raise GraphError(
            f"this tensor of shape {array.shape} can't be written in place: its memory is read-only (it may come from "
            f"a read-only NumPy array); work on .clone()"
        )
    if getattr(tensor, "view_of", None).__class__ is not Unnoted:
        note_write(array, what)
    return array


def move(tensor: Tensor) -> np.ndarray:
    """Give a tensor, and the one whose memory it shows, a copy of that memory; returns the tensor's part of it."""
    array = tensor.array
    whole = shown = getattr(tensor, "view_of", None)
    if isinstance(shown, weakref.ref):
        whole = shown()
    if isinstance(whole, Tensor) and owner(whole.array) is owner(array):
        old = whole.array
        offset = array.ctypes.data - old.ctypes.data
        if old is array:
            tensor.array = move(whole)
            return tensor.array
        if (
            old.flags.c_contiguous
        ):  # as is all memory of arenas, unless the tensor was transposed in place
            tensor.array = np.ndarray(array.shape, array.dtype, move(whole), offset, array.strides)
            return tensor.array
    tensor.array = empty(array.shape, array.dtype)
    np.copyto(tensor.array, array)
    return tensor.array


def end_write(array: np.ndarray) -> None:
    """The write into what `begin_write` returned is done."""
    block = block_of(array)
    if block:
        arena.end_write(block)


def writable(tensor: Tensor, what: str = "a write in place") -> np.ndarray:
    """The tensor's array, for a write in place that is over before this thread does anything else with the tensor.

    Raises
    ------
    GraphError
        If the array is read-only.
    """
    array = begin_write(tensor, what)
    end_write(array)
    return array


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """The values as an ndarray that shares memory with the tensor.

    Raises
    ------
    GraphError
        If the tensor requires grad and `force` is False.
    DtypeError
        If it is sparse.
    """
    if self.requires_grad and not force:
        raise GraphError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self.array.__class__ is not np.ndarray:
        raise DtypeError(
            "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first."
        )
    block = block_of(self.array)
    if block:  # from now on it can be written behind our back: copied when sent
        array = writable(self)
        block = block_of(array)
        if block:
            arena.set_pinned(block, arena.IS_PINNED)
    return self.array


Tensor.numpy = numpy  # type: ignore[method-assign]
Tensor._version = property(lambda tensor: version_of(tensor.array))  # type: ignore[attr-defined]


# Note [Sole owner]
# ~~~~~~~~~~~~~~~~~
# A cotangent may become `leaf.grad`, which the user writes in place, only if nothing else can see its memory.
# Counted are references to the array object and, for a view, to the array it views.  `n_names` is how many
# names and containers of the caller hold the array: 1 for one local variable.
# G1  True is only said if every reference is accounted for, so a mistake costs a copy, never a wrong value.


def is_sole(array: Any, n_names: int) -> bool:
    """Whether the caller's `n_names` references are the only way to the memory: Note [Sole owner]."""
    # + 2: our parameter and getrefcount's.
    if sys.getrefcount(array) > n_names + 2:
        return False
    if array.__class__ is not np.ndarray:  # a sparse one knows; a NumPy number is no array yet
        ask = getattr(array, "is_sole", None)
        return ask is not None and ask()
    if not array.flags.writeable:
        return False
    base = array.base
    if base is None:
        return True
    block = block_of(array)
    if block:
        return base is not None and arena.holders(block) == 1 and type(base) is not np.ndarray
    # `array.base`, our variable, getrefcount's parameter.
    return type(base) is np.ndarray and base.base is None and sys.getrefcount(base) <= 3
