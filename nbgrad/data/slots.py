"""Slots: pieces of shared memory in which the batches of a loader's worker arrive.

    worker: Shelf                                          loader: Windows
    put(batch) ── pickle with its arrays out of line ──▶ slot ── (slot, sizes) by pipe ──▶ take: arrays over the slot
    free(slot) ◀────────────── number, with a later task ────── when the last of those arrays has gone

A slot is a memfd that the loader maps once and then sees again and again: pages that were touched before cost nothing, and
the loader copies nothing.  The arrays are the loader's own: it may write into them, and keep them as long as it likes;
the worker makes a new slot where all are in use.

Note [Slots]
~~~~~~~~~~~~
S1 (one user)  a slot is the worker's from its number's arrival until the message about the batch in it, then the loader's.
S2 (late)      the number goes back when no array over the slot is left: each of them holds, at the end of its chain of
               bases, one object of ctypes, whose finalizer notes the number.
S3 (death)     memory of a worker or a loader that was killed goes with the last mapping; there is no name.
"""

import ctypes
import mmap
import os
import pickle
import weakref
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NamedTuple

ALIGNED = 64  # bytes: kernels like whole cache lines
SMALLEST = 1 << 16


class Parcel(NamedTuple):
    """Where a batch is."""

    slot: int
    slot_bytes: int
    is_new: bool  # the descriptor follows
    sizes: tuple[int, int, int]  # bytes of the pickle, of the table of arrays, number of arrays


def rounded(n: int) -> int:
    """Up to the next whole cache line."""
    return -(-n // ALIGNED) * ALIGNED


class Shelf:
    """The worker's side."""

    def __init__(self) -> None:
        self.maps: list[mmap.mmap] = []
        self.descriptors: list[int] = []
        self.unused: list[int] = []

    def free(self, numbers: list[int]) -> None:
        """The loader has done with these.  Note [Slots] S1."""
        self.unused += numbers

    def put(self, value: Any) -> Parcel:
        """Store a value; its arrays are copied into the slot, once.

        Raises
        ------
        Exception
            If it can't be pickled.
        """
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        table = pickle.dumps([view.nbytes for view in views])
        pieces = [memoryview(data), memoryview(table), *views]
        total = sum(rounded(piece.nbytes) for piece in pieces)
        slot, is_new = self.place(total)
        memory, at = memoryview(self.maps[slot]), 0
        for piece in pieces:
            memory[at : at + piece.nbytes] = piece
            at += rounded(piece.nbytes)
        return Parcel(slot, len(memory), is_new, (len(data), len(table), len(views)))

    def place(self, n_bytes: int) -> tuple[int, bool]:
        """The smallest unused slot that is large enough, or a new one."""
        fitting = [slot for slot in self.unused if len(self.maps[slot]) >= n_bytes]
        if fitting:
            slot = min(fitting, key=lambda number: len(self.maps[number]))
            self.unused.remove(slot)
            return slot, False
        size = max(SMALLEST, 1 << (n_bytes - 1).bit_length())
        descriptor = os.memfd_create("nbgrad-batch", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, size)
        self.maps.append(mmap.mmap(descriptor, size))
        self.descriptors.append(descriptor)
        return len(self.maps) - 1, True

    def post(self, pipe: Connection, pid: int, message: tuple, parcel: Parcel) -> None:
        """Send a message about a parcel to a process, with the descriptor of a new slot."""
        pipe.send((*message, tuple(parcel)))
        if parcel.is_new:
            send_handle(pipe, self.descriptors[parcel.slot], pid)

    def close(self, slot: int) -> None:
        """The descriptor of a slot is not needed any more: who should have it has it."""
        os.close(self.descriptors[slot])


class Windows:
    """The receiver's side, for one sender.

    Parameters
    ----------
    flags : int
        MAP_SHARED: the slots are seen as they are; MAP_PRIVATE: what is written into them here stays here.
    """

    def __init__(self, flags: int = mmap.MAP_SHARED) -> None:
        self.flags, self.maps = flags, dict[int, mmap.mmap]()
        self.done: list[int] = []  # numbers that can go back

    def take(self, pipe: Connection, fields: tuple) -> Any:
        """The value of a parcel that the pipe has told of; its arrays are views of the slot.  Note [Slots] S2."""
        parcel = Parcel(*fields)
        memory = self.map_of(pipe, parcel)
        holder = (ctypes.c_char * parcel.slot_bytes).from_buffer(memory)
        weakref.finalize(holder, self.done.append, parcel.slot).atexit = False
        view, at = memoryview(holder).cast("B"), 0

        def piece(n_bytes: int) -> memoryview:
            nonlocal at
            start, at = at, at + rounded(n_bytes)
            return view[start : start + n_bytes]

        n_data, n_table, _ = parcel.sizes
        data = bytes(piece(n_data))
        sizes = pickle.loads(piece(n_table))
        return pickle.loads(data, buffers=[piece(n_bytes) for n_bytes in sizes])

    def drop(self, pipe: Connection, fields: tuple) -> None:
        """Nobody wants that parcel."""
        parcel = Parcel(*fields)
        self.map_of(pipe, parcel)
        self.done.append(parcel.slot)

    def map_of(self, pipe: Connection, parcel: Parcel) -> mmap.mmap:
        """The mapping of a parcel's slot, made when it comes for the first time."""
        if parcel.is_new:
            descriptor = recv_handle(pipe)
            try:
                self.maps[parcel.slot] = mmap.mmap(descriptor, parcel.slot_bytes, self.flags)
            finally:
                os.close(descriptor)
        return self.maps[parcel.slot]

    def returned(self) -> list[int]:
        """Numbers of slots that the worker may use again."""
        found, self.done[:] = self.done[:], []
        return found
