"""Operation: one collective as a member takes part in it: what it shows to the others, what it takes from them, into what.

    broadcast    the source shows one piece            the others take ONE
    scatter      the source shows a piece per member   all take ONE, their own
    all_gather   all show one piece                    all take ALL, one from each
    all_to_all   all show a piece per member           all take ALL, their own from each
    all_reduce   all show one piece                    all REDUCE
    reduce_scatter  all show a piece per member        all REDUCE, their own

Operations know ndarrays, not tensors; they are run by the group (process_group.py).
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from nbgrad.collectives.native import DTYPE_SHIFT, OP_SHIFT
from nbgrad.collectives.reducers import DTYPES, ReduceOp, code_of, reducer
from nbgrad.collectives.rounds import ALL, FUSED, MAX_ND, ND_SHIFT, NOTHING, ONE, REDUCE, SLICE
from nbgrad.jit.streaming import sum_address

ROOT_SHIFT = 24
STREAM_BYTES = 4 << 20  # shared results from here on are written past the caches
EMPTY = np.empty(0, np.uint8)  # what a barrier moves


class Kind(IntEnum):
    """What a member does in a round; the number stands in its record, the name in messages."""

    init_process_group = 1
    new_group = 2
    barrier = 3
    broadcast = 4
    all_reduce = 5
    reduce = 6
    all_gather = 7
    gather = 8
    scatter = 9
    reduce_scatter = 10
    all_to_all = 11
    all_reduce_shared = 12
    broadcast_object_list = 13
    all_gather_object = 14
    gather_object = 15
    scatter_object_list = 16
    plan = 17
    agreement = 18


REDUCING = (Kind.all_reduce, Kind.reduce, Kind.reduce_scatter, Kind.all_reduce_shared)
FROM_ROOT = (
    Kind.broadcast,
    Kind.scatter,
    Kind.broadcast_object_list,
    Kind.scatter_object_list,
)


def what_of(kind: Kind, op: int = 0, root: int = -1, code: int = 0) -> int:
    """The word WHAT of a record."""
    return int(kind) | int(op) << OP_SHIFT | code << DTYPE_SHIFT | (root + 1) << ROOT_SHIFT


def describe(what: int, shape: Sequence[int], members: Sequence[int]) -> str:
    """A record's words as a person would say them: 'all_reduce(SUM) of float32, shape (3, 4)'."""
    kind, code = what & 255, (what >> DTYPE_SHIFT) & 255
    shape = shape[: (what >> ND_SHIFT) & 255]
    root = ((what >> ROOT_SHIFT) & 255) - 1
    if kind == 0:
        return "nothing yet"
    known = Kind(kind)
    details = []
    if known in REDUCING:
        details.append(ReduceOp((what >> OP_SHIFT) & 255).name)
    if root >= 0:
        details.append(f"{'src' if known in FROM_ROOT else 'dst'}={members[root]}")
    text = known.name + (f"({', '.join(details)})" if details else "")
    if known in (Kind.barrier, Kind.init_process_group, Kind.new_group) or "object" in known.name:
        return text
    return f"{text} of {DTYPES[code]}, shape {tuple(shape)}"


class Ends:
    """What is to be done when an operation is over: where it went well, and then in any case."""

    __slots__ = ("always", "well")

    def __init__(self) -> None:
        self.well: list[Callable[[], Any]] = []
        self.always: list[Callable[[], Any]] = []

    def run(self, is_well: bool) -> None:
        """Do it, once."""
        while self.well:
            done = self.well.pop()
            if is_well:
                done()
        while self.always:
            self.always.pop()()


class Operation:
    """What a group needs to run one collective; arrays are C-contiguous.

    Attributes
    ----------
    what, shape
        The record that all members must have in common.
    ins : list of arrays
        What this member shows, one per piece; empty if it shows nothing.
    outs : list of arrays
        Where it puts what it takes: one, or one per member (`ALL`).
    pieces : int
        How many pieces each member that shows something shows: 1, or one per member.
    piece : int
        Bytes of the largest piece of any member.
    move, root
        What it takes, and from whom (a member, not a rank).
    is_large_ok : bool
        Whether arrays that lie in the segment may be read in place.
    ends : Ends
        What is to be done when it is over.
    stream : int
        Address of a function that writes sums past the caches, or 0.
    timeout_s : float
        Seconds, where they are not the group's; else 0.
    otherwise : function() giving an Operation
        What all members run instead where the keeper of a shared result has no room for it.
    """

    __slots__ = ("combine", "ends", "finish", "ins", "is_large_ok", "item", "keeper", "move", "otherwise", "outs", "piece",
                 "pieces", "root", "shape", "shared", "stream", "timeout_s", "trails", "what")  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        like: np.ndarray | None = None,
        op: int = 0,
        root: int = -1,
        shape: Sequence[int] | None = None,
    ):
        code = code_of(like.dtype, kind.name) if like is not None else 0
        self.what = what_of(kind, op, root, code)
        if shape is None:
            shape = like.shape if like is not None else ()
        self.shape = tuple(shape)[:MAX_ND]
        self.ins: list = []
        self.outs: list = []
        self.pieces, self.piece = 1, 0
        self.stream = 0
        self.move, self.root = NOTHING, root
        self.item = like.itemsize if like is not None else 1
        self.combine = self.finish = 0
        self.is_large_ok, self.trails = True, False
        self.keeper = self.shared = 0
        self.timeout_s = 0.0
        self.otherwise: Callable[[], Operation] | None = None
        self.ends = Ends()

    def sums(self, op: ReduceOp, dtype: np.dtype, move: int) -> None:
        """Take a sum."""
        self.combine, self.finish = reducer(op, dtype, Kind(self.what & 255).name)
        self.move = move


def barrier() -> Operation:
    """Nothing moves."""
    return Operation(Kind.barrier, EMPTY)


def broadcast(array: np.ndarray, root: int, me: int, kind: Kind = Kind.broadcast) -> Operation:
    """The root's array into everybody's."""
    o = Operation(kind, array, root=root)
    o.piece = array.nbytes
    if me == root:
        o.ins = [array]
    else:
        o.outs, o.move = [array], ONE
    return o


def all_reduce(array: np.ndarray, op: ReduceOp) -> Operation:
    """The sum of all arrays, into each of them."""
    o = Operation(Kind.all_reduce, array, op)
    o.piece = array.nbytes
    o.ins = o.outs = [array]
    o.sums(op, array.dtype, FUSED)
    return o


def reduce(array: np.ndarray, op: ReduceOp, root: int, me: int) -> Operation:
    """The sum of all arrays, into the root's."""
    o = Operation(Kind.reduce, array, op, root)
    o.piece = array.nbytes
    o.ins = [array]
    o.outs = [array] if me == root else []
    o.sums(op, array.dtype, FUSED)
    return o


def all_gather(
    outs: list, array: np.ndarray, kind: Kind = Kind.all_gather, piece: int | None = None
) -> Operation:
    """Each member's array into the place of that member in `outs`; `piece` where sizes differ: the largest, in bytes."""
    o = Operation(kind, array, shape=() if piece is not None else None)
    o.piece = array.nbytes if piece is None else piece
    o.ins, o.outs, o.move = [array], outs, ALL
    return o


def gather(outs: list | None, array: np.ndarray, root: int) -> Operation:
    """As `all_gather`, on the root only; the others have no `outs`."""
    o = Operation(Kind.gather, array, root=root)
    o.piece, o.ins = array.nbytes, [array]
    if outs is not None:
        o.outs, o.move = outs, ALL
    return o


def scatter(out: np.ndarray, pieces: list, root: int, n: int) -> Operation:
    """The root's pieces, one to each of `n` members; the others have no `pieces`."""
    o = Operation(Kind.scatter, out, root=root)
    o.pieces, o.piece = n, out.nbytes
    o.ins, o.outs, o.move = pieces, [out], ONE
    return o


def reduce_scatter(out: np.ndarray, pieces: list, op: ReduceOp) -> Operation:
    """The sum over members of the piece that each has for this one."""
    o = Operation(Kind.reduce_scatter, out, op)
    o.pieces, o.piece = len(pieces), out.nbytes
    o.ins, o.outs = pieces, [out]
    o.sums(op, out.dtype, REDUCE)
    return o


def all_to_all(outs: list, ins: list, piece: int | None = None) -> Operation:
    """Piece k of each member to member k; `piece` where sizes differ: the largest of all, in bytes."""
    o = Operation(Kind.all_to_all, ins[0], shape=() if piece is not None else None)
    o.pieces, o.piece = len(ins), ins[0].nbytes if piece is None else piece
    o.ins, o.outs, o.move = ins, outs, ALL
    return o


def shared_sum(array: np.ndarray, op: ReduceOp, keeper: int, shared: int) -> Operation:
    """The sum of all arrays, into memory of member `keeper`; there `shared` tells where, as an offset in the segment."""
    o = Operation(Kind.all_reduce_shared, array, op)
    o.piece, o.ins, o.trails = array.nbytes, [array], True
    o.keeper, o.shared = keeper, shared
    o.sums(op, array.dtype, SLICE)
    if op == ReduceOp.SUM and array.nbytes >= STREAM_BYTES:
        o.stream = sum_address(array.dtype)
    return o
