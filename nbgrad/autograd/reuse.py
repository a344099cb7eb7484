"""Reuse: the memory of large arrays is kept for the next array of its size, so that a training step allocates nothing.

    np.empty, np.matmul, kernels ──► NumPy ──► the handler of this file ──► a kept block, or new pages of the system
                                                 64 KiB and more                 (kept.py)

New pages are cleared and mapped one by one, which takes longer than most kernels that write them, and the C library gives
pages back whenever the end of its heap is free.  In a group of workers, results are born in the arena instead, which does
the same for shared memory.

Notes
-----
The handler (NEP 49) belongs to the thread, more exactly the `contextvars` context, that first makes a large result; arrays
that other threads make have NumPy's own.  It is not installed where the program has one of its own, where fast calls are
not possible, or where NBGRAD_REUSE is "0".  An array remembers its handler, so any thread may free it.
"""

import ctypes
import os
import sys
from dataclasses import dataclass

import numpy as np
from numpy._core.multiarray import get_handler_name

from nbgrad.autograd import kept
from nbgrad.jit import machine
from nbgrad.jit.maker import function_of_numpy

SET_HANDLER, GET_HANDLER = 304, 305  # places in NumPy's table of C functions
CAPSULE_NAME, HANDLER_NAME = b"mem_handler", b"nbgrad"
FUNCTIONS = 128  # of a handler: after its name and version; context, malloc, calloc, realloc, free


@dataclass(frozen=True)
class BufferStatistics:
    """The memory of this process's large arrays (64 KiB and more), outside of arenas.

    Attributes
    ----------
    used_bytes, kept_bytes : int
        Of arrays that live, and of blocks that wait for arrays of their size.
    peak_bytes : int
        The most that was used at once.
    reused, taken, returned : int
        Arrays that got a kept block; blocks taken from the system, and given back to it.
    """

    used_bytes: int
    kept_bytes: int
    peak_bytes: int
    reused: int
    taken: int
    returned: int

    def __str__(self) -> str:
        used, waiting, most = (
            f"{n / 2**20:.1f} MiB" for n in (self.used_bytes, self.kept_bytes, self.peak_bytes)
        )
        return (
            f"large arrays: {used} used, {waiting} kept for others of their size, {most} used at most; {self.reused} got a "
            f"kept block, {self.taken} blocks taken from the system, {self.returned} given back"
        )


class Reuse:
    """What this process has installed: nothing before the first large result."""

    is_decided = False
    state = np.zeros(kept.STATE_WORDS, np.int64)  # words of kept.py


def install() -> bool:
    """Let NumPy ask us for memory, once; whether it does."""
    if Reuse.is_decided:
        return bool(Reuse.state[kept.MALLOC // 8])
    Reuse.is_decided = True
    if not machine.fast_calls or sys.platform != "linux" or os.environ.get("NBGRAD_REUSE") == "0":
        return False
    api = ctypes.pythonapi
    new, pointer_of = api.PyCapsule_New, api.PyCapsule_GetPointer
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p] * 3
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    before = ctypes.PYFUNCTYPE(ctypes.py_object)(function_of_numpy(GET_HANDLER))()
    at = pointer_of(before, CAPSULE_NAME)
    if ctypes.string_at(at) != b"default_allocator":
        return False  # the program's own
    state = Reuse.state
    state[: kept.CLOCK // 8] = (ctypes.c_int64 * 5).from_address(at + FUNCTIONS)
    functions = [f.address() for f in (kept.block_malloc, kept.block_calloc, kept.block_realloc, kept.block_free)]  # fmt: skip
    handler = ctypes.create_string_buffer(HANDLER_NAME, FUNCTIONS + 40)
    handler[FUNCTIONS - 1] = b"\x01"  # version
    (ctypes.c_int64 * 5).from_buffer(handler, FUNCTIONS)[:] = [state.ctypes.data, *functions]
    name = ctypes.create_string_buffer(CAPSULE_NAME)
    capsule = new(ctypes.addressof(handler), ctypes.addressof(name), None)
    # Arrays are freed until the process ends.
    machine.immortal.append((before, handler, name, capsule, state, machine.engine()))
    setter = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)
    setter(function_of_numpy(SET_HANDLER))(capsule)
    return get_handler_name() == HANDLER_NAME.decode()


def statistics() -> BufferStatistics:
    """The memory of this process's large arrays, and what is kept of it.

    Examples
    --------
    >>> import nbgrad as nb
    >>> y = nb.rand(300, 300) + 1
    >>> y.numpy().nbytes <= nb.buffer_statistics().used_bytes <= nb.buffer_statistics().peak_bytes
    True
    """
    words = [kept.USED, kept.KEPT, kept.PEAK, kept.REUSED, kept.TAKEN, kept.RETURNED]
    return BufferStatistics(*[int(Reuse.state[word // 8]) for word in words])


def release() -> None:
    """Give the memory that is kept for later arrays back to the system.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.release_buffers()
    >>> nb.buffer_statistics().kept_bytes
    0
    """
    if install():
        kind = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
        kind(kept.give_back_all.address())(Reuse.state.ctypes.data)
