"""Block: the private block of a group in this process, and the two native calls that are bound to it."""

from typing import Any

import numpy as np

from nbgrad.collectives import native, rounds
from nbgrad.collectives.native import N_OPS, begin, go
from nbgrad.collectives.operation import Operation
from nbgrad.collectives.reducers import CODES, DTYPES, ReduceOp
from nbgrad.shm.binding import Binding

NO_SHOW = -1  # value of OFFER: this member has nothing to show
spare: list[
    "Block"
] = []  # blocks of groups that have ended: native code has their addresses for ever


def address_of(array: np.ndarray) -> int:
    """Where the array's first element lies."""
    return array.__array_interface__["data"][0]


class Block:
    """Words that the native calls of one group work on; see rounds.py for what they mean."""

    def __init__(self) -> None:
        self.words = np.zeros(native.ALL_BYTES // 8, np.int64)
        self.view = self.words.data  # (single words: half the time of the array's own way)
        self.scratch = np.zeros(rounds.TILE, np.uint8)
        self.address = address_of(self.words)
        self.begin: Any = begin.bind([self.address])
        self.go: Any = go.bind([self.address])

    def __getitem__(self, offset: int) -> int:
        return int(self.words[offset >> 3])

    def __setitem__(self, offset: int, value: int) -> None:
        self.view[offset >> 3] = value

    def set_table(self, offset: int, values: list) -> None:
        """Fill the first words of a table."""
        view = self.view
        for place, value in enumerate(values, offset >> 3):
            view[place] = value

    def set_up(
        self, base: int, slots: list[int], meets: list[int], me: int, seq: int, box: int
    ) -> None:
        """A new group: addresses of the members' slots and MEET words, which member this is, the first round, the box."""
        self.words[:] = 0
        self[rounds.SEGMENT], self[rounds.OWN], self[rounds.MEET] = base, slots[me], meets[me]
        self[rounds.MEMBERS], self[rounds.ME], self[rounds.SEQ] = len(slots), me, seq
        self[rounds.BOX], self[rounds.SCRATCH] = box, address_of(self.scratch)
        self.set_table(rounds.SLOT, slots)
        self.set_table(rounds.MEETS, meets)
        self[native.NDARRAY], self[native.N_DTYPES] = id(np.ndarray), len(DTYPES)
        for dtype, code in CODES.items():
            self[native.DTYPES + 16 * code] = id(dtype)
            self[native.DTYPES + 16 * code + 8] = dtype.itemsize

    def learn(self, op: ReduceOp, dtype: np.dtype, combine: int, finish: int) -> None:
        """From now on `begin` can do this reduction."""
        place = native.REDUCERS + 16 * (CODES[dtype] * N_OPS + op)
        self[place], self[place + 8] = combine, finish

    def load(self, o: Operation, binding: Binding) -> None:
        """Make the operation the one under way."""
        limit = self[rounds.BOX_BYTES] or rounds.INLINE_BYTES
        stride = limit // o.pieces
        stride &= -64 if stride >= 64 else -8
        is_large = o.is_large_ok and o.piece * o.pieces >= rounds.DIRECT_BYTES
        view = self.view
        for offset, value in (
            (rounds.WHAT, o.what),
            (rounds.ND, len(o.shape)),
            (rounds.SHOWS, 1 if o.ins else 0),
            (rounds.PIECES, o.pieces),
            (rounds.PIECE, o.piece),
            (rounds.STRIDE, min(stride, (o.piece + 7) & -8)),
            (rounds.START, 0),
            (rounds.MOVE, o.move),
            (rounds.ROOT, o.root),
            (rounds.ITEM, o.item),
            (rounds.COMBINE, o.combine),
            (rounds.FINISH, o.finish),
            (rounds.OFFER, self.offer(o, binding) if is_large else 0),
            (rounds.SHARED, o.shared),
            (rounds.STREAM, o.stream),
            (rounds.KEEPER, o.keeper),
            (rounds.TRAILS, 1 if o.trails else 0),
            (rounds.OUT, 0),
            (rounds.PHASE, rounds.OFFERING if is_large else rounds.CHUNKS),
        ):
            view[offset >> 3] = value
        self.set_table(rounds.DIMS, list(o.shape))
        self.set_table(rounds.IN, [address_of(a) for a in o.ins])
        self.set_table(rounds.IN_BYTES, [a.nbytes for a in o.ins])
        self.set_table(rounds.OUT, [address_of(a) for a in o.outs])
        self.set_table(rounds.OUT_BYTES, [a.nbytes for a in o.outs])
        self[rounds.STAGE] = rounds.TO_SHOW

    def offer(self, o: Operation, binding: Binding) -> int:
        """What the record says of arrays to be read in place: where, 0 where they lie elsewhere, NO_SHOW without any."""
        if not o.ins:
            return NO_SHOW
        places = []
        for array in o.ins:
            if array.nbytes and not binding.block_of(array):
                return 0
            places.append(address_of(array) - self[rounds.SEGMENT] if array.nbytes else 1)
        self.set_table(rounds.OFFERS, places)
        return places[0]
