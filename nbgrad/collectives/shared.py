"""all_reduce_shared: one result in shared memory, which all members read.

    each member sums its slice of all members' tensors into the result; nothing is gathered, nothing is copied

The result lies in the arena of one member, in turns.  It has a holder per member before the first round, and each member's
tensor gives one back when it goes (Note [Holders] of arena.py).
"""

from typing import Any

import numpy as np

from nbgrad.autograd.tensor import Tensor
from nbgrad.collectives import operation
from nbgrad.collectives.api import learned
from nbgrad.collectives.arguments import Arguments, reduce_op
from nbgrad.collectives.block import address_of
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp
from nbgrad.collectives.rounds import DIRECT_BYTES
from nbgrad.errors import DesyncError
from nbgrad.shm import arena
from nbgrad.shm.binding import CODES, block_of

__all__ = ["all_reduce_shared"]


def all_reduce_shared(
    tensor: Any, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """The sum of all members' tensors, as one tensor in shared memory that all members read.

    It moves a third of the bytes of `all_reduce`: each member sums a slice, and nothing is written twice.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Of the same shape and dtype on all members; only read.
    op : ReduceOp
        What is meant by sum.

    Returns
    -------
    Tensor, of the shape and dtype of `tensor`
        Read-only memory, equal on all members: an in-place operation moves it to memory of its own first.  Below 64 KiB each
        member gets a result of its own.  With `async_op` a Work, whose `result()` it is; None in a process that is no member.

    Raises
    ------
    DesyncError, CollectiveTimeout, WorkerDied, ProcessGroupError
        As all collectives.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> dist.all_reduce_shared(nb.tensor([1.0, 2.0]))
    tensor([1., 2.])
    >>> dist.destroy_process_group()
    """
    pg = chosen_group(group)
    if pg is None:
        return None
    with Arguments("all_reduce_shared") as a:
        array = a.reading(tensor)
        op = reduce_op(op, a.what)
        if array.nbytes < DIRECT_BYTES:
            own = array.copy()
            learned(pg, op, own, a.what)
            work = a.start(pg, operation.all_reduce(own, op), async_op, lambda: Tensor(own))
            return work if async_op else Tensor(own)
        result = SharedResult(pg, array, op)
        o = operation.shared_sum(array, op, result.keeper, result.offset)
        o.otherwise = result.otherwise
        a.ends.well.append(result.take)
        try:
            work = a.start(pg, o, async_op, result.tensor)
        except DesyncError:
            result.give_back()  # nobody has taken it
            raise
        return work if async_op else result.tensor()


class SharedResult:
    """Where the result of one operation lies, and how this member comes to it."""

    def __init__(self, pg: ProcessGroup, array: np.ndarray, op: ReduceOp):
        self.pg, self.source, self.op = pg, array, op
        self.keeper = pg.n_shared % pg.size()
        pg.n_shared += 1
        self.array: np.ndarray | None = None
        self.offset = 0
        if pg.me == self.keeper:
            made = pg.premises.binding.empty(array.shape, array.dtype)
            if made is not None:
                self.array, block = made, block_of(made)
                for _ in range(
                    pg.size() - 1
                ):  # before anybody learns of it: Note [Holders] of arena.py
                    arena.hold(block, arena.generation(block))
                self.offset = address_of(made) - pg.session.base

    def otherwise(self) -> operation.Operation:
        """The keeper's arena is full: a result for each."""
        self.array = self.source.copy()
        self.keeper = -1
        return operation.all_reduce(self.array, self.op)

    def take(self) -> None:
        """The sum is complete: this member's view of it."""
        pg = self.pg
        if self.keeper >= 0 and pg.me != self.keeper:
            block = pg.session.base + pg.kept(self.keeper) - arena.HEADER
            code = CODES[self.source.dtype]
            self.array = pg.premises.binding.view(block, code, self.source.shape)
        if self.keeper >= 0 and self.array is not None:
            self.array.flags.writeable = False

    def tensor(self) -> Tensor:
        """The result."""
        assert self.array is not None  # the operation is complete
        return Tensor(self.array)

    def give_back(self) -> None:
        """No member takes its holder."""
        if self.offset and self.array is not None:
            block = block_of(self.array)
            for _ in range(self.pg.size() - 1):
                arena.release(block, arena.generation(block))
