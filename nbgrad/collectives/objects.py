"""Collectives of Python objects, which travel as pickles: for settings and results, not for data in a loop.

What is unpickled comes from workers of the same user, as in RPC.
"""

import pickle
from typing import Any

import numpy as np

from nbgrad.collectives import operation
from nbgrad.collectives.arguments import Arguments, member
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.operation import Kind, Operation
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.rounds import NOTHING, ONE
from nbgrad.collectives.world import agree
from nbgrad.errors import ShapeError

__all__ = [
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "scatter_object_list",
]


def packed(thing: Any) -> np.ndarray:
    """The object as bytes."""
    return np.frombuffer(pickle.dumps(thing, protocol=5), np.uint8)


def unpacked(data: np.ndarray) -> Any:
    """The object again."""
    return pickle.loads(data.tobytes())


def gathered(pg: ProcessGroup, thing: Any, kind: Kind, root: int = -1) -> list:
    """Every member's object, by rank; on the root only, if there is one."""
    data = packed(thing)
    sizes = agree(pg, kind, [data.nbytes])[:, 0]
    outs = [np.empty(size, np.uint8) for size in sizes]
    o = operation.all_gather(outs, data, kind, int(sizes.max()))
    takes = root in (-1, pg.me)
    if not takes:
        o.outs, o.move = [], NOTHING
    pg.run(o)
    return [unpacked(out) for out in outs] if takes else []


def all_gather_object(object_list: list, obj: Any, group: Any = None) -> None:
    """Put every member's object into its place of a list.

    Parameters
    ----------
    object_list : list
        With one entry per member; replaced.
    obj : object
        This member's; must be picklable.

    Raises
    ------
    ShapeError
        If the list has another length.

    Examples
    --------
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> found = [None]
    >>> dist.all_gather_object(found, {"accuracy": 0.9})
    >>> found
    [{'accuracy': 0.9}]
    >>> dist.destroy_process_group()
    """
    pg = chosen_group(group)
    if pg is None:
        return
    with Arguments("all_gather_object") as a:
        a.sequence(object_list, pg.size(), "object_list")
    object_list[:] = gathered(pg, obj, Kind.all_gather_object)


def gather_object(
    obj: Any,
    object_gather_list: list | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """As `all_gather_object`, on `dst` (0 by default) only.

    Raises
    ------
    ShapeError
        If the list has another length, or is missing on `dst`, or there is one elsewhere.
    """
    pg = chosen_group(group)
    if pg is None:
        return
    root = member(pg, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    with Arguments("gather_object") as a:
        if a.must_have(object_gather_list, pg.me == root, "object_gather_list", "dst"):
            a.sequence(object_gather_list, pg.size(), "object_gather_list")
    found = gathered(pg, obj, Kind.gather_object, root)
    if object_gather_list is not None:
        object_gather_list[:] = found


def broadcast_object_list(
    object_list: list,
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Replace the objects of a list by those of `src`.

    Parameters
    ----------
    object_list : list
        Of the same length on all members.
    src : int
        Rank, in the default group, of the source; 0 by default.
    device
        Accepted; without a meaning here.

    Raises
    ------
    ShapeError
        If the source has another number of objects.
    """
    pg = chosen_group(group)
    if pg is None:
        return
    root = member(pg, 0 if src is None and group_src is None else src, group_src, "src")
    data = packed(list(object_list) if pg.me == root else None)
    told = agree(pg, Kind.broadcast_object_list, [data.nbytes, len(object_list)])
    size, n = (int(number) for number in told[root])
    if (told[:, 1] != n).any():  # all members see it, and raise
        raise ShapeError(
            f"broadcast_object_list: lists of one length are wanted, but the members' have {told[:, 1].tolist()}"
        )
    whole = data.copy() if pg.me == root else np.empty(size, np.uint8)
    pg.run(operation.broadcast(whole, root, pg.me, Kind.broadcast_object_list))
    if pg.me != root:
        object_list[:] = unpacked(whole)


def scatter_object_list(
    scatter_object_output_list: list,
    scatter_object_input_list: list | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: int | None = None,
) -> None:
    """Put this member's object of the list of `src` into the first place of a list.

    Parameters
    ----------
    scatter_object_output_list : list
        With at least one entry; its first one is replaced.
    scatter_object_input_list : list, optional
        On `src` only: one object per member.
    src : int
        Rank, in the default group, of the source; 0 by default.

    Raises
    ------
    ShapeError
        If a list has another length, or is missing on `src`.
    """
    pg = chosen_group(group)
    if pg is None:
        return
    root = member(pg, 0 if src is None and group_src is None else src, group_src, "src")
    pieces: list = []
    with Arguments("scatter_object_list") as a:
        if not scatter_object_output_list:
            raise ShapeError("scatter_object_list: scatter_object_output_list is empty")
        if pg.me == root:
            things = a.sequence(scatter_object_input_list, pg.size(), "scatter_object_input_list")
            pieces = [packed(thing) for thing in things]
    kind = Kind.scatter_object_list
    sizes = agree(pg, kind, [piece.nbytes for piece in pieces] or [0] * pg.size())[root]
    own = np.empty(int(sizes[pg.me]), np.uint8)
    o = Operation(kind, own, root=root, shape=())
    o.pieces, o.piece = pg.size(), int(sizes.max())
    o.ins, o.outs, o.move = pieces, [own], ONE
    pg.run(o)
    scatter_object_output_list[0] = unpacked(own)
