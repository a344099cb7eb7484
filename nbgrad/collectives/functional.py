"""Collectives that gradients flow through, under the names of `torch.distributed.nn.functional`.

Each returns new tensors and leaves its arguments alone.  Its backward is a collective too, so all members must run backward
through it, in the same order; the loss is the sum of all members' losses.

    all_reduce       backward: all_reduce of the gradients          broadcast   reduce to the source
    all_gather       reduce_scatter                                 gather      scatter from the destination
    reduce_scatter   all_gather                                     scatter     gather at the source
    all_to_all       all_to_all                                     reduce      broadcast from the destination
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.collectives import operation
from nbgrad.collectives.arguments import Arguments, member, reduce_op
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.moves import all_to_all_single as exchange_rows
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp
from nbgrad.errors import DtypeError, ProcessGroupError

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]

SUMS = (ReduceOp.SUM, ReduceOp.AVG)


def group_of(group: Any, what: str) -> ProcessGroup:
    """The group; gradients need one."""
    pg = chosen_group(group)
    if pg is None:
        raise ProcessGroupError(f"{what}: this process is not a member of the group")
    return pg


def contiguous(array: np.ndarray) -> np.ndarray:
    """The array in C order, without making a 0-d one 1-d."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def total(pg: ProcessGroup, array: np.ndarray, kind: ReduceOp = ReduceOp.SUM) -> np.ndarray:
    """The sum of all members' arrays, as a new one."""
    own = array.copy()
    pg.run(operation.all_reduce(own, kind))
    return own


def gathered(pg: ProcessGroup, array: np.ndarray) -> np.ndarray:
    """All members' arrays, stacked."""
    out = np.empty((pg.size(), *array.shape), array.dtype)
    pg.run(operation.all_gather(list(out.reshape(pg.size(), -1)), contiguous(array)))
    return out


def check_sum(kind: ReduceOp, what: str) -> ReduceOp:
    """Only sums and averages have gradients in `what`."""
    if reduce_op(kind, what) not in SUMS:
        raise DtypeError(
            f"{what}: ReduceOp.{kind.name} has no gradient here; use SUM or AVG, or all_reduce, which has all of them"
        )
    return kind


def share_of(g: np.ndarray, kind: ReduceOp, pg: ProcessGroup) -> np.ndarray:
    """What one term of a sum gets of the sum's cotangent."""
    return g if kind == ReduceOp.SUM else g / g.dtype.type(pg.size())


def parts(gs: list, like: tuple, dtype: np.dtype) -> list[np.ndarray]:
    """Cotangents of several results, zeros for those that nobody used."""
    return [np.zeros(like, dtype) if g is None else contiguous(g) for g in gs]


# ------------------------------------------------------------ sums


def all_reduce(tensor: Any, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> Any:
    """The sum of all members' tensors.

    Parameters
    ----------
    tensor : Tensor
        Of the same shape and dtype on all members.
    op : ReduceOp
        SUM, AVG, PRODUCT, MIN or MAX.  The gradient of MIN and MAX goes in equal parts to the members that have the value.

    Returns
    -------
    Tensor, of the shape and dtype of `tensor`

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> from nbgrad.distributed.nn import functional
    >>> dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> x = nb.tensor([2.0], requires_grad=True)
    >>> functional.all_reduce(x * 3).backward()
    >>> x.grad
    tensor([3.])
    >>> dist.destroy_process_group()
    """
    return _all_reduce(tensor, reduce_op(op, "all_reduce"), group_of(group, "all_reduce"))


@op(name="all_reduce")
def _all_reduce(x, kind, pg):
    y = total(pg, x, kind)
    return y, (x, y, kind, pg)


@_all_reduce.vjp
def _all_reduce(residuals, g):
    x, y, kind, pg = residuals
    return (share_of_result(x, y, kind, pg, total(pg, g)),)


def share_of_result(
    x: np.ndarray, y: np.ndarray, kind: ReduceOp, pg: ProcessGroup, g: np.ndarray
) -> np.ndarray:
    """What this member's term `x` gets of the cotangent `g` of the result `y`."""
    if kind in SUMS:
        return share_of(g, kind, pg)
    if kind in (ReduceOp.MIN, ReduceOp.MAX):
        has_it = (x == y).astype(x.dtype)
        return g * has_it / total(pg, has_it)
    if kind == ReduceOp.PRODUCT:
        others = np.delete(gathered(pg, x), pg.me, axis=0)  # y / x would fail at zero
        return g * np.multiply.reduce(others, axis=0, initial=1, dtype=x.dtype)
    raise DtypeError(f"ReduceOp.{kind.name} has no gradient")


def reduce(tensor: Any, dst: int, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> Any:
    """The sum of all members' tensors, on `dst`; on the others a tensor like their own, which gets no gradient."""
    pg = group_of(group, "reduce")
    return _reduce(tensor, check_sum(op, "reduce"), member(pg, dst, None, "dst"), pg)


@op(name="reduce")
def _reduce(x, kind, root, pg):
    y = x.copy()
    pg.run(operation.reduce(y, kind, root, pg.me))
    return y, (kind, root, pg)


@_reduce.vjp
def _reduce(residuals, g):
    kind, root, pg = residuals
    own = g.copy()
    pg.run(operation.broadcast(own, root, pg.me))
    return (share_of(own, kind, pg),)


def broadcast(tensor: Any, src: int, group: Any = None) -> Any:
    """The tensor of `src`; the others' own get a gradient of zeros."""
    pg = group_of(group, "broadcast")
    return _broadcast(tensor, member(pg, src, None, "src"), pg)


@op(name="broadcast")
def _broadcast(x, root, pg):
    y = x.copy()
    pg.run(operation.broadcast(y, root, pg.me))
    return y, (root, pg)


@_broadcast.vjp
def _broadcast(residuals, g):
    root, pg = residuals
    own = g.copy()
    pg.run(operation.reduce(own, ReduceOp.SUM, root, pg.me))
    return (own if pg.me == root else np.zeros_like(own),)


# ------------------------------------------------------------ pieces


def all_gather(tensor: Any, group: Any = None) -> tuple:
    """All members' tensors, a tuple."""
    return _all_gather(tensor, group_of(group, "all_gather"))


@op(many=True, name="all_gather")
def _all_gather(x, pg):
    return list(gathered(pg, x)), (x.shape, x.dtype, pg)


@_all_gather.vjp
def _all_gather(residuals, gs):
    shape, dtype, pg = residuals
    out = np.empty(shape, dtype)
    pg.run(operation.reduce_scatter(out, parts(gs, shape, dtype), ReduceOp.SUM))
    return (out,)


def gather(tensor: Any, dst: int = 0, group: Any = None) -> tuple:
    """All members' tensors, a tuple, on `dst`; zeros on the others."""
    pg = group_of(group, "gather")
    return _gather(tensor, member(pg, dst, None, "dst"), pg)


@op(many=True, name="gather")
def _gather(x, root, pg):
    outs = [np.zeros_like(x) for _ in range(pg.size())]
    pg.run(operation.gather(outs if pg.me == root else None, contiguous(x), root))
    return outs, (x.shape, x.dtype, root, pg)


@_gather.vjp
def _gather(residuals, gs):
    shape, dtype, root, pg = residuals
    out = np.empty(shape, dtype)
    pieces = parts(gs, shape, dtype) if pg.me == root else []
    pg.run(operation.scatter(out, pieces, root, pg.size()))
    return (out,)


def scatter(tensors: Sequence, src: int = 0, group: Any = None) -> Any:
    """This member's part of the list of `src`; the others give a list of tensors of the same shape, which get zeros."""
    pg = group_of(group, "scatter")
    with Arguments("scatter") as a:
        a.sequence(tensors, pg.size(), "tensors")
    return _scatter(tensors, member(pg, src, None, "src"), pg)


@op(inputs="sequence", name="scatter")
def _scatter(xs, root, pg):
    y = np.empty_like(xs[0])
    pieces = [contiguous(x) for x in xs] if pg.me == root else []
    pg.run(operation.scatter(y, pieces, root, pg.size()))
    return y, (root, pg)


@_scatter.vjp
def _scatter(residuals, g):
    root, pg = residuals
    outs = [np.zeros_like(g) for _ in range(pg.size())]
    pg.run(operation.gather(outs if pg.me == root else None, contiguous(g), root))
    return tuple(outs)


def reduce_scatter(
    output: Any, input_list: Sequence, op: ReduceOp = ReduceOp.SUM, group: Any = None
) -> Any:
    """The sum, over all members, of the tensor that each has for this one; `output` only tells the shape."""
    pg = group_of(group, "reduce_scatter")
    with Arguments("reduce_scatter") as a:
        like = a.data(output, "output")
        a.same(a.sequence(input_list, pg.size(), "input_list"), like, "input_list", a.data)
    return _reduce_scatter(input_list, check_sum(op, "reduce_scatter"), pg)


@op(inputs="sequence", name="reduce_scatter")
def _reduce_scatter(xs, kind, pg):
    y = np.empty_like(xs[0])
    pg.run(operation.reduce_scatter(y, [contiguous(x) for x in xs], kind))
    return y, (kind, pg)


@_reduce_scatter.vjp
def _reduce_scatter(residuals, g):
    kind, pg = residuals
    return tuple(share_of(part, kind, pg) for part in gathered(pg, g))


def all_to_all(
    output_tensor_list: Sequence, input_tensor_list: Sequence, group: Any = None
) -> tuple:
    """A tensor to each member and one from each, a tuple; `output_tensor_list` only tells the shapes."""
    pg = group_of(group, "all_to_all")
    with Arguments("all_to_all") as a:
        outs = a.sequence(output_tensor_list, pg.size(), "output_tensor_list")
        a.sequence(input_tensor_list, pg.size(), "input_tensor_list")
        shapes = [a.data(x, "output_tensor_list").shape for x in outs]
    return _all_to_all(input_tensor_list, shapes, pg)


def swapped(pg: ProcessGroup, arrays: list, shapes: list) -> list[np.ndarray]:
    """Array k to member k; what came from each member, in those shapes."""
    dtype = arrays[0].dtype
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    sizes = [int(np.prod(shape)) for shape in shapes]
    out = np.empty(sum(sizes), dtype)
    exchange_rows(out, flat, sizes, [array.size for array in arrays], pg)
    ends = np.cumsum(sizes)
    return [out[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes)]


@op(inputs="sequence", many=True, name="all_to_all")
def _all_to_all(xs, shapes, pg):
    return swapped(pg, xs, shapes), ([x.shape for x in xs], shapes, xs[0].dtype, pg)


@_all_to_all.vjp
def _all_to_all(residuals, gs):
    shapes, came, dtype, pg = residuals
    whole = [np.zeros(shape, dtype) if g is None else g for g, shape in zip(gs, came)]
    return tuple(swapped(pg, whole, shapes))


def all_to_all_single(
    output: Any,
    input: Any,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = None,
) -> Any:
    """As `all_to_all`, of rows of one tensor; `output` only tells the shape."""
    pg = group_of(group, "all_to_all_single")
    with Arguments("all_to_all_single") as a:
        shape = a.data(output, "output").shape
    return _all_to_all_single(input, shape, output_split_sizes, input_split_sizes, pg)


@op(name="all_to_all_single")
def _all_to_all_single(x, shape, out_sizes, in_sizes, pg):
    y = np.empty(shape, x.dtype)
    exchange_rows(y, x, out_sizes, in_sizes, pg)
    return y, (x.shape, out_sizes, in_sizes, pg)


@_all_to_all_single.vjp
def _all_to_all_single(residuals, g):
    shape, out_sizes, in_sizes, pg = residuals
    x_bar = np.empty(shape, g.dtype)
    exchange_rows(x_bar, g, in_sizes, out_sizes, pg)
    return (x_bar,)
