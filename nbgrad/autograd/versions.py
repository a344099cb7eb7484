"""Versions of memory: a value that was saved for a VJP and then written in place is found out, not used.

Note [Versions]
~~~~~~~~~~~~~~~
Saving is frequent and writing in place is rare, so the writes keep the books.  Each write takes a number from the counter
that also numbers the nodes of the graph, and is noted for the memory that it wrote: the array that owns it, whatever views
there are.  Before a pass runs a node it asks whether memory that the node saved was written since.

G1 (loud)   a write into memory that a node recorded before it holds is found: memory is known by the id of its owner, which
            can't be another object's while the node holds it.
G2 (cheap)  recording costs nothing; a pass compares one number, the last write's, with its oldest node's, and looks closer
            only if the write is newer.
Assumes     writes go through `nbgrad.autograd.buffers`; what NumPy writes behind our back is not seen.
"""

import weakref
from typing import Any

import numpy as np

from nbgrad.autograd.node import Node, next_seq
from nbgrad.errors import GraphError

ndarray = np.ndarray
N_REMEMBERED = 16  # numbers of the last writes, for "expected version"


class Latest:
    """`seq`: the number of the last write in place; `rebase`: of the last one that was recorded."""

    seq = -1
    rebase = -1


class Writes(weakref.ref):
    """The writes into the memory of one array; the reference goes when the array does."""

    __slots__ = ("key", "n", "seqs", "what")
    key: int
    n: int
    seqs: list[int]
    what: str


writes: dict[int, Writes] = {}  # id of the owner -> its writes


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one is a view of."""
    base = array.base
    while type(base) is ndarray:
        array = base
        base = array.base
    return array


def forget(note: Any) -> None:
    key = note.key
    if writes.get(key) is note:
        del writes[key]


def note_write(array: np.ndarray, what: str) -> None:
    """An array is written in place, by the operation `what`."""
    array = owner(array)
    key = id(array)
    note = writes.get(key)
    if note is None:
        note = Writes(array, forget)
        note.key, note.n, note.seqs = key, 0, []
        writes[key] = note
    Latest.seq = seq = next_seq()
    note.n += 1
    note.what = what
    note.seqs.append(seq)
    if len(note.seqs) > N_REMEMBERED:
        del note.seqs[0]


def version_of(array: Any) -> int:
    """How often the memory of an array has been written in place."""
    note = writes.get(id(owner(array))) if type(array) is ndarray else None
    return 0 if note is None else note.n


def note_rebase(node: Node) -> None:
    """The tensor that this node made was written in place, recorded: it has another node from now on."""
    if node.hooks is None:
        node.hooks = {}
    node.hooks["rebased"] = Latest.rebase = next_seq()


def check_order(order: list[Node]) -> None:
    """Check the nodes of a pass, newest first: Note [Versions] G2."""
    if order and order[-1].seq < Latest.seq:
        for node in order:
            if node.seq < Latest.seq:
                check_node(node)
        if order[-1].seq < Latest.rebase:
            check_views(order)


def check_views(order: list[Node]) -> None:
    """Refuse a view that was taken before the tensor which it shows was written, recorded, and used after.

    The view's values are new then, but its history is the old one.

    Raises
    ------
    GraphError
        With the operation that took the view.
    """
    last_use: dict[Any, int] = {}
    for node in order:
        for edge in node.edges:
            if edge is not None:
                last_use.setdefault(edge[0], node.seq)
    for node in order:
        target: Any = node
        while getattr(getattr(target, "vjp", None), "is_view", False) and target.edges[0]:
            target = target.edges[0][0]
            when = target.hooks.get("rebased", -1) if target.hooks else -1
            if node.seq < when < last_use.get(node, -1):
                raise GraphError(
                    f"a view, taken by {node.name!r}, was used after the tensor that it shows had been written in place: its "
                    f"gradient would be of another value. Take the view again after the write, or write a new tensor"
                )


def check_node(node: Node) -> None:
    """Refuse to run a node that saved what was written since.

    Raises
    ------
    GraphError
        With the op that saved it, the op that wrote it, and both versions.
    """
    for saved in node.saved():
        if type(saved) is not ndarray:
            continue
        note = writes.get(id(owner(saved)))
        if note is not None and note.seqs[-1] > node.seq:
            since = sum(seq > node.seq for seq in note.seqs)
            raise GraphError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: an array "
                f"of {saved.dtype}, shape {saved.shape}, that {node.name!r} saved for its VJP, is at version {note.n}; expected "
                f"version {note.n - since} instead. It was last written by {note.what!r}. Write a new tensor there "
                f"(x = x + 1 and not x += 1), .clone() it before, or run backward first"
            )
