"""Binding: the native calls of one worker of one group, bound to its segment.

b = Binding(segment, layout, rank)
b.post(target, row, kind, h0..h5, arrays, extra);  b.take(mask);  b.wait_bell(ns);  b.empty(shape, dtype)
"""

import ctypes
import math
import os

import numpy as np

from nbgrad.logs import logger
from nbgrad.shm import arena, record, wire, words
from nbgrad.shm.layout import (
    PAGE,
    SENT_BYTES,
    SENT_TO,
    TO_COPIED,
    TO_MESSAGES,
    TO_ZERO_COPY,
    Layout,
)
from nbgrad.shm.ring import size_bytes
from nbgrad.shm.segment import CHUNK, Segment
from nbgrad.shm.waiting import wait_bell, wait_epoch, wait_standby

current: list = []  # the binding of this process, if it is in a group
CAPSULE_NAME = ctypes.create_string_buffer(b"nbgrad.block", record.FAULT_HOLDERS + 8)


def mark_forked() -> None:
    """In a child forked from a worker: its arrays are copies of the worker's, and hold nothing."""
    if current:
        ctypes.c_int64.from_address(ctypes.addressof(CAPSULE_NAME) + record.FORKED).value = 1


os.register_at_fork(after_in_child=mark_forked)
IN_ARENA_BYTES = 1 << 16  # arrays from this size on are born in the arena
FLOATS = ["float32", "float64", "float16", "complex64", "complex128"]
INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"]
DTYPES = [np.dtype(name) for name in FLOATS + INTEGERS]
CODES = {dtype: code for code, dtype in enumerate(DTYPES)}
NEW_FROM_DESCR, SET_BASE_OBJECT = 94, 282  # places in NumPy's C API table


def numpy_function(place: int) -> int:
    """Address of a function of NumPy's C API."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = get(np._core._multiarray_umath._ARRAY_API, None)
    found = ctypes.c_void_p.from_address(table + 8 * 2).value
    assert found == id(np.ndarray), "NumPy's C API table is not where it was"
    return ctypes.c_void_p.from_address(table + 8 * place).value


class Binding:
    """Native calls of worker `rank`; one per process and group."""

    def __init__(self, segment: Segment, layout: Layout, rank: int):
        self.segment, self.layout, self.rank = segment, layout, rank
        base = segment.address
        self.own = base + layout.worker(rank)
        self.arena = base + layout.arena(rank)
        self.n_fallbacks = self.fallback_bytes = 0  # arrays that the full arena had no room for
        ring_bytes = size_bytes(layout.ring_capacity)
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p] * 3
        sample = capsule(ctypes.addressof(CAPSULE_NAME), ctypes.addressof(CAPSULE_NAME), None)
        words = [
            None,
            np.ndarray,
            type(sample),
            numpy_function(NEW_FROM_DESCR),
            numpy_function(SET_BASE_OBJECT),
            base,
            base + segment.size_bytes,
            self.own,
            rank,
            base + layout.ring(rank, 0),
            base + layout.ring(0, rank),
            ring_bytes,
            base + layout.worker(0),
            PAGE,
            len(DTYPES),
            ctypes.addressof(CAPSULE_NAME),
            wire.drop_block.address(),
        ]
        for dtype in DTYPES:
            words += [dtype, dtype.itemsize]
        self.post = wire.post.bind(words)
        # rings into this worker lie `world` apart
        incoming = list(words)
        incoming[record.RING_BYTES // 8] = ring_bytes * layout.world
        self.take = wire.take.bind(incoming)
        self.view = wire.view.bind(words)
        self.wait_bell = wait_bell.bind(
            [self.own, rank, layout.world, words[12], PAGE, words[9], ring_bytes]
        )
        self.wait_epoch = wait_epoch.bind([self.own])
        self.wait_standby = wait_standby.bind([self.own])

    def fault(self) -> tuple[int, ...] | None:
        """(what, block's offset in the segment, generation held, generation found, holders) of a bug, told once, or None."""
        name = ctypes.addressof(CAPSULE_NAME)
        if words.load(name + record.FAULT) == 0:
            return None
        what, block, *rest = [words.load(name + at) for at in record.FAULT_WORDS]
        words.store(name + record.FAULT, 0)
        return what, block - self.segment.address, *rest

    def sent_to(self, rank: int) -> tuple[int, int, int]:
        """(messages posted, bytes of arrays copied, bytes of arrays sent without a copy) by this worker to that one."""
        first = self.own + SENT_TO + SENT_BYTES * rank
        return (
            words.load(first + TO_MESSAGES),
            words.load(first + TO_COPIED),
            words.load(first + TO_ZERO_COPY),
        )

    def worker(self, rank: int) -> int:
        """Address of a worker's block."""
        return self.segment.address + self.layout.worker(rank)

    def empty(self, shape: tuple, dtype: np.dtype) -> np.ndarray | None:
        """A new array in this worker's arena, or None: the arena is full, or the dtype is not one that travels."""
        code = CODES.get(dtype)
        if code is None:
            return None
        n_bytes = math.prod(shape) * dtype.itemsize
        block = arena.allocate(self.arena, n_bytes)
        if block <= 0 and (block := self.allocate_growing(n_bytes)) == 0:
            if self.n_fallbacks == 0:
                logger.info(
                    "no room for %d bytes in this worker's arena: such arrays are copied when sent; see "
                    "nbgrad.memory_summary()",
                    n_bytes,
                )
            self.n_fallbacks += 1
            self.fallback_bytes += n_bytes
            return None
        return self.view(block, code, shape)

    def block_of(self, array: np.ndarray) -> int:
        """Address of the block below an array, or 0: it lies in private memory, or in the segment of another group."""
        block = block_of(array)
        base = self.segment.address
        return block if base <= block < base + self.segment.size_bytes else 0

    def travels(self, array: np.ndarray) -> bool:
        """Whether the array is sent without a copy: it lies in this segment, and nothing outside nbgrad can write it."""
        block = self.block_of(array)
        return block != 0 and not arena.is_pinned(block)

    def taken_over(self, array: np.ndarray) -> np.ndarray | None:
        """A received array as one that may be written, or None: its block is held elsewhere, too, or it is a part of it.

        For the last reference to `array` in this process.
        """
        block = self.block_of(array)
        if block == 0 or type(array.base) is np.ndarray:
            return None
        data = ctypes.c_int64.from_address(id(array) + record.ARRAY_DATA).value
        if data != block + arena.HEADER or arena.holders(block) != 1 or arena.is_pinned(block):
            return None
        # Nobody else can add a holder now, since nobody else has one: Note [Holders] of arena.py.
        arena.hold(block, arena.generation(block))
        return self.view(block, CODES[array.dtype], array.shape)

    def allocate_growing(self, n_bytes: int) -> int:
        """A block in memory that is committed first where there is too little; 0 if there is no room for it."""
        # One thread after the other: those that waited find what the first one of them has committed.
        with self.segment.lock:
            while (block := arena.allocate(self.arena, n_bytes)) < 0 and self.grow(-block):
                pass
        return max(block, 0)

    def grow(self, n_bytes: int) -> bool:
        """Commit more of the arena: a chunk at least, and about half as much again as there is.  Under the segment's lock."""
        committed = arena.committed(self.arena)
        more = max(n_bytes, min(committed // 2, 64 * CHUNK), CHUNK)
        more = min((more + CHUNK - 1) & -CHUNK, self.layout.arena_bytes - committed)
        if more < n_bytes:
            return False
        try:
            self.segment.commit(self.layout.arena(self.rank) + committed, more)
        except OSError:
            return False
        # A finalizer that ran meanwhile in this thread may have grown it as well.
        arena.set_committed(self.arena, max(committed + more, arena.committed(self.arena)))
        return True


def block_of(array: np.ndarray) -> int:
    """Address of the arena block below an array, or 0: it lies in private memory."""
    base = array.base
    if type(base) is np.ndarray:
        base = base.base
    if type(base).__name__ != "PyCapsule":
        return 0
    is_ours = ctypes.c_int64.from_address(id(base) + 24).value == ctypes.addressof(CAPSULE_NAME)
    return ctypes.c_int64.from_address(id(base) + 16).value if is_ours else 0
