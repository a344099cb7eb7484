"""The collectives, with PyTorch's names, order of arguments and meaning.

Small ones take the fast way: one native call, with nothing built in Python.  All others build an `Operation`.
Every function takes `group` (default: the default group) and `async_op`: with True it returns a `Work` at once, else None when
this member's part is complete.  In a process that is no member of the group it does nothing.

Raised by all of them: DesyncError where members call different collectives, or with different shapes, dtypes or operations;
CollectiveTimeout where a member has not come in time (MemberHung if a worker is stopped); WorkerDied where a worker has died;
ProcessGroupError without a group.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from nbgrad.collectives import operation
from nbgrad.collectives.arguments import Arguments, member, reduce_op
from nbgrad.collectives.membership import State, chosen_group
from nbgrad.collectives.native import MOVE_BITS, NOT_SMALL, SHOWS_BIT
from nbgrad.collectives.operation import EMPTY, Kind, what_of
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp, reducer
from nbgrad.collectives.rounds import ALL, COMPLETE, NOTHING, ONE, REDUCE
from nbgrad.collectives.work import Work, run
from nbgrad.collectives.world import seconds_of

__all__ = [
    "all_gather",
    "all_gather_into_tensor",
    "all_reduce",
    "barrier",
    "broadcast",
    "monitored_barrier",
    "reduce",
]

BARRIER = what_of(Kind.barrier)
BROADCAST = what_of(Kind.broadcast)
ALL_REDUCE = what_of(Kind.all_reduce)
ALL_GATHER = what_of(Kind.all_gather)
OP_UNIT = what_of(Kind.all_reduce, 1) - ALL_REDUCE
ROOT_UNIT = what_of(Kind.broadcast, root=0) - BROADCAST
SHOW_AND_SUM, SHOW_AND_TAKE = REDUCE | SHOWS_BIT, ALL | SHOWS_BIT


def all_reduce(
    tensor: Any, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Replace the tensor, on all members, by the sum of all members' tensors.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Of the same shape and dtype on all members; written in place.
    op : ReduceOp
        What is meant by sum.

    Raises
    ------
    DtypeError
        If `op` has no meaning for the dtype.

    Notes
    -----
    Terms are added in the order of the members, so all get the same bits, in every run.  From 64 KiB on each member sums a
    slice, reading and writing tensors that lie in shared memory where they are; others go through it in pieces.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> x = nb.tensor([1.0, 2.0])
    >>> dist.all_reduce(x, op=dist.ReduceOp.SUM)
    >>> x
    tensor([1., 2.])
    >>> dist.destroy_process_group()
    """
    pg = group or State.default
    if not async_op and pg.__class__ is ProcessGroup and op.__class__ is ReduceOp:
        data = getattr(tensor, "array", None)
        result = pg.begin(ALL_REDUCE + OP_UNIT * op._value_, SHOW_AND_SUM, data, data)
        if result == COMPLETE:
            return None
        if result != NOT_SMALL:
            pg.complete_begun(result, data)
            return None
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("all_reduce") as a:
        array = a.writing(tensor)
        op = learned(pg, reduce_op(op, a.what), array, a.what)
        return a.start(pg, operation.all_reduce(array, op), async_op, tensor)


def learned(pg: ProcessGroup, op: ReduceOp, array: np.ndarray, what: str) -> ReduceOp:
    """The operation; from now on `begin` can do it."""
    pg.block.learn(op, array.dtype, *reducer(op, array.dtype, what))
    return op


def reduce(
    tensor: Any,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Replace the tensor of one member by the sum of all members' tensors.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Of the same shape and dtype on all members; written in place on `dst`, and left alone on the others.
    dst : int
        Rank, in the default group, of that member.
    op : ReduceOp
        As in `all_reduce`.
    group_dst : int, optional
        Its rank in `group`, instead of `dst`.

    Raises
    ------
    ProcessGroupError
        If `dst` is no member.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    root = member(pg, dst, group_dst, "dst")
    with Arguments("reduce") as a:
        array = a.writing(tensor) if pg.me == root else a.reading(tensor)
        op = reduce_op(op, a.what)
        return a.start(pg, operation.reduce(array, op, root, pg.me), async_op, tensor)


def broadcast(
    tensor: Any,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Replace the tensor, on all members, by that of one.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Of the same shape and dtype on all members; written in place on all but the source.
    src : int
        Rank, in the default group, of the source.
    group_src : int, optional
        Its rank in `group`, instead of `src`.

    Raises
    ------
    ProcessGroupError
        If `src` is no member.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    root = member(pg, src, group_src, "src")
    if not async_op:
        data = getattr(tensor, "array", None)
        how = SHOWS_BIT | NOTHING if pg.me == root else ONE
        how |= root << MOVE_BITS + 1
        result = pg.begin(BROADCAST + ROOT_UNIT * (root + 1), how, data, data)
        if result == COMPLETE:
            return None
        if result != NOT_SMALL:
            pg.complete_begun(result, data)
            return None
    with Arguments("broadcast") as a:
        array = a.reading(tensor) if pg.me == root else a.writing(tensor)
        return a.start(pg, operation.broadcast(array, root, pg.me), async_op, tensor)


def all_gather(
    tensor_list: Sequence, tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """Put every member's tensor into its place of a list.

    Parameters
    ----------
    tensor_list : list of Tensor
        One per member, of the tensor's shape and dtype; written in place.
    tensor : Tensor or ndarray
        This member's, of the same shape and dtype on all.

    Raises
    ------
    ShapeError
        If the list does not fit.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("all_gather") as a:
        array = a.reading(tensor)
        outs = a.list_writing(tensor_list, array, pg.size(), "tensor_list")
        return a.start(pg, operation.all_gather(outs, array), async_op, tensor_list)


def all_gather_into_tensor(
    output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """As `all_gather`, into one tensor: members' tensors one after the other along the first dimension, or stacked.

    Parameters
    ----------
    output_tensor : Tensor or ndarray
        With as many elements as all members' tensors together; written in place.
    input_tensor : Tensor or ndarray
        This member's.

    Raises
    ------
    ShapeError
        If the sizes do not fit.
    """
    pg = group or State.default
    if not async_op and pg.__class__ is ProcessGroup:
        data, out = getattr(input_tensor, "array", None), getattr(output_tensor, "array", None)
        result = pg.begin(ALL_GATHER, SHOW_AND_TAKE, data, out)
        if result == COMPLETE:
            return None
        if result != NOT_SMALL:
            pg.complete_begun(result, (data, out))
            return None
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("all_gather_into_tensor") as a:
        array = a.reading(input_tensor, "input_tensor")
        out = a.writing(output_tensor, "output_tensor")
        outs = a.pieces(out, array, pg.size(), "output_tensor")
        return a.start(pg, operation.all_gather(outs, array), async_op, output_tensor)


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until all members are here."""
    pg = chosen_group(group)
    if pg is None:
        return None
    if not async_op:
        result = pg.begin(BARRIER, NOTHING, EMPTY, EMPTY)
        if result == COMPLETE:
            return None
        if result != NOT_SMALL:
            pg.complete_begun(result, EMPTY)
            return None
    return run(pg, operation.barrier(), async_op)


def monitored_barrier(
    group: Any = None, timeout: timedelta | float | None = None, wait_all_ranks: bool = False
) -> None:
    """Wait until all members are here, at most `timeout`; the error names who is missing, as those of all collectives do."""
    pg = chosen_group(group)
    if pg is None:
        return
    o = operation.barrier()
    o.timeout_s = 0.0 if timeout is None else seconds_of(timeout)
    run(pg, o, False)
