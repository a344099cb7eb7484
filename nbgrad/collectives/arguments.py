"""What callers give to collectives: tensors and arrays, groups, ranks, made into what operations take.

A tensor that is written may lie in the arena and have other holders; then it moves to fresh memory first, and nobody can take
a snapshot of it until the collective is over (Note [Holders] of arena.py).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import begin_write, end_write
from nbgrad.autograd.tensor import Tensor
from nbgrad.collectives.operation import Ends, Operation
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp, code_of
from nbgrad.collectives.work import Work, run
from nbgrad.errors import DtypeError, ProcessGroupError, ShapeError
from nbgrad.shm.binding import block_of


class Arguments:
    """The arrays of one call; `ends` is what its operation must do at its end, or this one if there is no operation.

    with Arguments("broadcast") as a:
        return a.start(pg, operation.broadcast(a.writing(tensor), ...), async_op, tensor)

    Parameters
    ----------
    what : str
        The collective's name, for messages.
    """

    def __init__(self, what: str):
        self.what, self.ends = what, Ends()
        self.blocks: set[int] = set()  # that are being written

    def __enter__(self) -> "Arguments":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self.ends.run(False)

    def start(self, pg: ProcessGroup, o: Operation, async_op: bool, result: Any) -> Work | None:
        """Run the operation, or put it into the group's queue."""
        o.ends = self.ends
        return run(pg, o, async_op, result)

    def data(self, x: Any, name: str) -> np.ndarray:
        """The array of a tensor."""
        array = x.array if isinstance(x, Tensor) else x
        if type(array) is not np.ndarray:
            kind = "sparse tensor" if isinstance(x, Tensor) else type(x).__name__
            raise DtypeError(
                f"{self.what}: {name} must be a dense tensor or an array, got a {kind}"
            )
        code_of(array.dtype, self.what)
        return array

    def reading(self, x: Any, name: str = "tensor") -> np.ndarray:
        """A C-contiguous array of what the caller shows."""
        array = self.data(x, name)
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)

    def writing(self, x: Any, name: str = "tensor") -> np.ndarray:
        """A C-contiguous array that becomes the caller's result."""
        array = self.data(x, name)
        block = block_of(array)
        if isinstance(x, Tensor) and (block == 0 or block not in self.blocks):
            array = begin_write(x)
            block = block_of(array)
            if block:
                self.blocks.add(block)
                self.ends.always.append(partial(end_write, array))
        elif not array.flags.writeable:
            raise DtypeError(f"{self.what}: {name} is a read-only array of shape {array.shape}")
        if array.flags.c_contiguous:
            return array
        whole = np.ascontiguousarray(array)
        self.ends.well.append(partial(np.copyto, array, whole))
        return whole

    def list_reading(self, xs: Any, like: np.ndarray, n: int, name: str) -> list[np.ndarray]:
        """One array per member, each like `like`."""
        return self.same(self.sequence(xs, n, name), like, name, self.reading)

    def list_writing(self, xs: Any, like: np.ndarray, n: int, name: str) -> list[np.ndarray]:
        """One array per member to be written, each like `like`."""
        return self.same(self.sequence(xs, n, name), like, name, self.writing)

    def sequence(self, xs: Any, n: int, name: str) -> list:
        """A list with one entry per member."""
        if not isinstance(xs, Sequence) or len(xs) != n:
            got = f"{len(xs)} entries" if isinstance(xs, Sequence) else type(xs).__name__
            raise ShapeError(
                f"{self.what}: {name} must be a list with one tensor per member of the group, {n} of them; got {got}"
            )
        return list(xs)

    def same(self, xs: list, like: np.ndarray, name: str, take: Any) -> list[np.ndarray]:
        for k, x in enumerate(xs):
            array = self.data(x, f"{name}[{k}]")
            if array.shape != like.shape or array.dtype != like.dtype:
                raise ShapeError(
                    f"{self.what}: {name}[{k}] has shape {array.shape} and dtype {array.dtype}, and the tensor has "
                    f"{like.shape} and {like.dtype}: they must be equal"
                )
        return [take(x, f"{name}[{k}]") for k, x in enumerate(xs)]

    def must_have(self, xs: Any, is_root: bool, name: str, root: str) -> bool:
        """Whether there is a list, which only the root has."""
        if (xs is not None and len(xs) > 0) == is_root:
            return is_root
        raise ShapeError(
            f"{self.what}: {name} belongs to rank {root}, and only to it: it is "
            f"{'missing here' if is_root else 'given here, on another rank'}"
        )

    def split(
        self, array: np.ndarray, sizes: Sequence[int] | None, n: int, name: str
    ) -> list[np.ndarray]:
        """Parts of an array along its first dimension."""
        rows = array.shape[0] if array.ndim else 0
        if sizes is None or len(sizes) == 0:
            if rows % n or not array.ndim:
                raise ShapeError(
                    f"{self.what}: {name} of shape {array.shape} can't be split into {n} equal parts, one per member; give "
                    f"{name}_split_sizes"
                )
            sizes = [rows // n] * n
        if len(sizes) != n or sum(sizes) != rows or min(sizes) < 0:
            raise ShapeError(
                f"{self.what}: {name}_split_sizes {list(sizes)} must be {n} sizes that add up to the {rows} rows of {name}"
            )
        ends = np.cumsum(sizes)
        return [array[end - size : end] for end, size in zip(ends, sizes)]

    def pieces(self, array: np.ndarray, like: np.ndarray, n: int, name: str) -> list[np.ndarray]:
        """`n` equal parts, along the first dimension, of an array that is `n` times as large as `like`."""
        if array.size != n * like.size or array.dtype != like.dtype:
            raise ShapeError(
                f"{self.what}: {name} of shape {array.shape} and dtype {array.dtype} does not hold {n} tensors (one per "
                f"member) of shape {like.shape} and dtype {like.dtype}"
            )
        return list(array.reshape(n, -1))


def reduce_op(op: Any, what: str) -> ReduceOp:
    """The operation that a caller names."""
    if isinstance(op, ReduceOp):
        return op
    raise DtypeError(
        f"{what}: op is {op!r}, but one of ReduceOp.{', '.join(o.name for o in ReduceOp)} is wanted"
    )


def member(pg: ProcessGroup, rank: int | None, group_rank: int | None, name: str) -> int:
    """The member that a caller names by its rank in the default group, or by its rank in this group."""
    if rank is not None and group_rank is not None:
        raise ProcessGroupError(f"give {name} or group_{name}, not both")
    if group_rank is not None:
        if not 0 <= group_rank < pg.size():
            raise ProcessGroupError(
                f"group_{name} is {group_rank}, but the group has ranks 0 to {pg.size() - 1}"
            )
        return group_rank
    if rank is None:
        raise ProcessGroupError(f"say which rank {name} is")
    if rank not in pg.members:
        raise ProcessGroupError(
            f"{name} is rank {rank}, which is not in the process group {pg.name!r} of ranks {list(pg.members)}"
        )
    return pg.members.index(rank)
