"""Collectives in which members give each other different things: gather, scatter, reduce_scatter, all_to_all.

For what all collectives have in common see api.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbgrad.collectives import operation
from nbgrad.collectives.arguments import Arguments, member, reduce_op
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp
from nbgrad.collectives.work import Work
from nbgrad.collectives.world import agree
from nbgrad.errors import ShapeError

__all__ = [
    "all_to_all",
    "all_to_all_single",
    "gather",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
]


def gather(
    tensor: Any,
    gather_list: Sequence | None = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Put every member's tensor into its place of a list of one member.

    Parameters
    ----------
    tensor : Tensor or ndarray
        This member's, of the same shape and dtype on all.
    gather_list : list of Tensor
        On `dst` only: one per member, written in place.
    dst : int
        Rank, in the default group, of that member; 0 by default.
    group_dst : int, optional
        Its rank in `group`, instead of `dst`.

    Raises
    ------
    ShapeError
        If the list does not fit, or is missing on `dst`, or there is one elsewhere.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    root = member(pg, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    with Arguments("gather") as a:
        array = a.reading(tensor)
        outs = None
        if a.must_have(gather_list, pg.me == root, "gather_list", "dst"):
            outs = a.list_writing(gather_list, array, pg.size(), "gather_list")
        return a.start(pg, operation.gather(outs, array, root), async_op, gather_list)


def scatter(
    tensor: Any,
    scatter_list: Sequence | None = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Replace each member's tensor by its part of a list of one member.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Written in place; of the same shape and dtype on all.
    scatter_list : list of Tensor
        On `src` only: one per member.
    src : int
        Rank, in the default group, of that member; 0 by default.
    group_src : int, optional
        Its rank in `group`, instead of `src`.

    Raises
    ------
    ShapeError
        If the list does not fit, or is missing on `src`, or there is one elsewhere.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    root = member(pg, 0 if src is None and group_src is None else src, group_src, "src")
    with Arguments("scatter") as a:
        out, pieces = a.writing(tensor), []
        if a.must_have(scatter_list, pg.me == root, "scatter_list", "src"):
            pieces = a.list_reading(scatter_list, out, pg.size(), "scatter_list")
        return a.start(pg, operation.scatter(out, pieces, root, pg.size()), async_op, tensor)


def reduce_scatter(
    output: Any,
    input_list: Sequence,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Sum, over all members, the tensor that each has for this one.

    Parameters
    ----------
    output : Tensor or ndarray
        Written in place; of the same shape and dtype on all.
    input_list : list of Tensor
        One per member, of the shape and dtype of `output`.
    op : ReduceOp
        As in `all_reduce`.

    Raises
    ------
    ShapeError
        If the list does not fit.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("reduce_scatter") as a:
        out, op = a.writing(output, "output"), reduce_op(op, a.what)
        pieces = a.list_reading(input_list, out, pg.size(), "input_list")
        return a.start(pg, operation.reduce_scatter(out, pieces, op), async_op, output)


def reduce_scatter_tensor(
    output: Any,
    input: Any,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """As `reduce_scatter`, of one tensor that holds the parts of all members one after the other, or stacked."""
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("reduce_scatter_tensor") as a:
        out, op = a.writing(output, "output"), reduce_op(op, a.what)
        pieces = a.pieces(a.reading(input, "input"), out, pg.size(), "input")
        return a.start(pg, operation.reduce_scatter(out, pieces, op), async_op, output)


def all_to_all(
    output_tensor_list: Sequence,
    input_tensor_list: Sequence,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Send a tensor to each member, and receive one from each.

    Parameters
    ----------
    output_tensor_list : list of Tensor
        One per member, written in place; the shape of the one that this member gets from there.
    input_tensor_list : list of Tensor
        One per member.  Shapes may differ, dtypes not.

    Raises
    ------
    ShapeError
        If a list has another length, or a tensor is sent that does not fit where it is received.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("all_to_all") as a:
        ins = a.sequence(input_tensor_list, pg.size(), "input_tensor_list")
        outs = a.sequence(output_tensor_list, pg.size(), "output_tensor_list")
        return exchange(pg, a, [a.reading(x) for x in ins], [a.writing(x) for x in outs],
                        async_op, output_tensor_list)  # fmt: skip


def all_to_all_single(
    output: Any,
    input: Any,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """As `all_to_all`, of parts of one tensor along its first dimension.

    Parameters
    ----------
    output, input : Tensor or ndarray
        What is received, written in place, and what is sent.
    output_split_sizes, input_split_sizes : list of int, optional
        How many rows come from, and go to, each member; by default all the same.

    Raises
    ------
    ShapeError
        If sizes do not add up to the rows, or do not fit what the others send.
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("all_to_all_single") as a:
        ins = a.split(a.reading(input, "input"), input_split_sizes, pg.size(), "input")
        outs = a.split(a.writing(output, "output"), output_split_sizes, pg.size(), "output")
        return exchange(pg, a, ins, outs, async_op, output)


def exchange(
    pg: ProcessGroup, a: Arguments, ins: list, outs: list, async_op: bool, result: Any
) -> Work | None:
    """All to all, after the members have told each other how much they send."""
    dtypes = {array.dtype for array in (*ins, *outs)}
    if len(dtypes) > 1:
        raise ShapeError(
            f"{a.what}: all tensors must have one dtype, got {sorted(map(str, dtypes))}"
        )
    n = pg.size()
    sizes = agree(pg, Kind.all_to_all, [array.nbytes for array in (*ins, *outs)])
    sent, room = sizes[:, :n], sizes[:, n:].T  # of member p to member q, at [p, q]
    if (sent != room).any():  # all members see it, and raise
        p, q = (int(k[0]) for k in np.nonzero(sent != room))
        raise ShapeError(
            f"{a.what}: rank {pg.members[p]} sends {sent[p, q]} bytes to rank {pg.members[q]}, which has room for "
            f"{room[p, q]} bytes from there"
        )
    return a.start(pg, operation.all_to_all(outs, ins, int(sent.max())), async_op, result)
