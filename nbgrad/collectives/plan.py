"""Plan: a sum over fixed buffers, prepared once, whose buckets are started as they become ready; for data parallel training.

plan = Plan(pg, [1000, 50_000], np.dtype("float32"), ReduceOp.AVG)     all members, the same
fill plan.inputs[0];  plan.start()                                     bucket by bucket, in order; never waits
plan.finish()                                                          all sums are there
read plan.outputs[0]                                                   until the next start()

A bucket may have pieces: `plan.give(k, array)` lets piece k be read where it lies instead of from `inputs`.
"""

import time
from collections.abc import Sequence

import numpy as np

from nbgrad.collectives import buckets, rounds
from nbgrad.collectives.block import address_of
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.process_group import FIRST_SLICE_NS, IDLE_S, LAST_SLICE_NS, ProcessGroup
from nbgrad.collectives.reducers import PAIRS, ReduceOp, reducer
from nbgrad.collectives.world import agree, finish, new_group_of
from nbgrad.errors import DesyncError, ProcessGroupError, SharedMemoryFull
from nbgrad.shm import arena, words
from nbgrad.shm.binding import CODES, block_of

ALIGN = 64


class Plan:
    """Buckets of one buffer per member, and one result.

    Parameters
    ----------
    pg : ProcessGroup
        The members; each makes the same plan at the same time.
    sizes : list of int
        Elements per bucket.
    dtype : numpy.dtype
        Of all of them.
    op : ReduceOp
        What is meant by sum.
    pieces : list of list of (int, int), optional
        Per bucket, the first element of each piece and how many, in their order; numbered through all buckets.  By default a
        bucket is one piece.

    Attributes
    ----------
    inputs : list of ndarray
        This member's buckets, to be written before their `start`, as far as their pieces are not given.
    outputs : list of ndarray
        The sums, read-only; the same memory on all members.

    Raises
    ------
    DesyncError
        If members make different plans.
    SharedMemoryFull
        If a member has no room for the buffers.
    """

    def __init__(
        self,
        pg: ProcessGroup,
        sizes: Sequence[int],
        dtype: np.dtype,
        op: ReduceOp = ReduceOp.SUM,
        pieces: Sequence[Sequence[tuple[int, int]]] | None = None,
    ):
        self.group = new_group_of(pg, Kind.plan)
        self.sizes, self.dtype = [int(size) for size in sizes], np.dtype(dtype)
        self.pieces = pieces or [[(0, size)] for size in self.sizes]
        self.n_pieces = sum(map(len, self.pieces))
        self.n_started = self.n_steps = 0
        self.given: list = [None] * self.n_pieces  # kept until nobody reads them any more
        try:
            self.meet(op)
        except BaseException:
            finish(self.group)
            raise

    def meet(self, op: ReduceOp) -> None:
        """Make this member's buffer, and the result on the first one, and learn where those of the others are."""
        group = self.group
        item = self.dtype.itemsize
        ends = np.cumsum([0, *[(size * item + ALIGN - 1) & -ALIGN for size in self.sizes]])
        binding, base = group.premises.binding, group.session.base
        n_bytes = max(int(ends[-1]), ALIGN)
        table_bytes = (8 * self.n_pieces + ALIGN - 1) & -ALIGN
        own = binding.empty((n_bytes + table_bytes,), np.dtype("uint8"))
        result = binding.empty((n_bytes,), np.dtype("uint8")) if group.me == 0 else None
        has_room = own is not None and (group.me != 0 or result is not None)
        if result is not None:  # held before anybody learns of it: Note [Holders] of arena.py
            block = block_of(result)
            for _ in range(group.size() - 1):
                arena.hold(block, arena.generation(block))
        layout = *self.sizes, *[piece for bucket in self.pieces for piece in bucket]
        told = [int(has_room), hash((layout, CODES[self.dtype], int(op)))]
        told += [address_of(a) - base if a is not None else 0 for a in (own, result)]
        rows = agree(group, Kind.plan, told)
        if (rows[:, 1] != rows[0, 1]).any():
            other = int((rows[:, 1] != rows[0, 1]).argmax())
            raise DesyncError(
                f"ranks {group.members[0]} and {group.members[other]} make different plans; this one has buckets of "
                f"{self.sizes} {self.dtype} and {op.name}"
            )
        if not rows[:, 0].all():
            raise SharedMemoryFull(
                f"a plan needs {n_bytes >> 20} MiB of shared memory on each worker, and one of them has no room for it"
            )
        if result is None:
            block = base + int(rows[0, 3]) - arena.HEADER
            result = binding.view(block, CODES[np.dtype("uint8")], (n_bytes,))
        assert own is not None
        self.own, self.result = own, result
        self.inputs = self.views(own, ends)
        self.outputs = self.views(result, ends)
        for output in self.outputs:
            output.flags.writeable = False
        self.table = own[n_bytes:].view(np.int64)
        self.set_up(op, ends, [base + int(offset) + n_bytes for offset in rows[:, 2]])

    def views(self, buffer: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
        """One array per bucket."""
        item = self.dtype.itemsize
        return [
            buffer[start : start + size * item].view(self.dtype)
            for start, size in zip(ends[:-1], self.sizes)
        ]

    def set_up(self, op: ReduceOp, ends: np.ndarray, tables: list[int]) -> None:
        """Fill the blocks, and this member's counters and its table."""
        group, block = self.group, self.group.block
        slot, session = group.slots[group.me], group.session
        item = self.dtype.itemsize
        rows = [
            (number, int(start) + first * item, size * item)
            for number, (start, first, size) in enumerate(
                (start, *piece) for start, bucket in zip(ends, self.pieces) for piece in bucket
            )
        ]
        self.places = [address_of(self.own) - session.base + start for _, start, _ in rows]
        self.table[: self.n_pieces] = self.places
        words.store(slot + rounds.FILLED, 0)
        words.store(slot + rounds.REDUCED, 0)
        agree(
            group, Kind.plan, [0]
        )  # all counters are 0 now; the last operation that uses the group's block
        combine, finish = reducer(op, self.dtype, "a plan")
        pair = PAIRS.get(op)
        self.count = np.array([group.size()], self.dtype)  # as the divisor of an average
        block[rounds.COMBINE], block[rounds.FINISH] = combine, finish
        block[rounds.ITEM] = item
        n_words = buckets.BUCKETS + buckets.BUCKET * len(ends) + buckets.PIECE * len(rows)
        self.words = np.zeros(n_words >> 3, np.int64)
        self.address = address_of(self.words)
        pieces = buckets.BUCKETS + buckets.BUCKET * len(ends)
        for offset, value in (
            (buckets.GROUP, block.address),
            (buckets.RESULT, address_of(self.result)),
            (buckets.N_BUCKETS, len(self.sizes)),
            (buckets.BUFFER, address_of(self.own)),
            (buckets.SEGMENT_END, session.base + session.segment.size_bytes),
            (buckets.DTYPE, id(self.dtype)),
            (buckets.NDARRAY, id(np.ndarray)),
            (buckets.PIECES, self.address + pieces),
            (buckets.PAIR, 0 if pair is None else pair.address(self.dtype.name)),
            (buckets.COUNT, address_of(self.count) if op == ReduceOp.AVG else 0),
            (buckets.UNIT, 0 if pair is None else pair.unit(self.dtype.name) * item),
        ):
            self.words[offset >> 3] = value
        self.words[buckets.TABLES >> 3 : (buckets.TABLES >> 3) + len(tables)] = tables
        counts = np.cumsum([0, *map(len, self.pieces)])
        self.words[buckets.BUCKETS >> 3 : pieces >> 3] = np.column_stack([ends, counts]).ravel()
        self.words[pieces >> 3 :] = np.ravel(rows)
        self.go = buckets.go.bind([self.address])
        self.give_native = buckets.give.bind([self.address])

    def give(self, number: int, array: np.ndarray | None) -> bool:
        """Let a piece of this step be read from an array where that lies in shared memory, or from a copy of it.

        It must not be written before the end of the step.  None: this member has nothing to add.

        Returns
        -------
        bool
            False if the array is not C-contiguous, or of another dtype or size; then nothing has changed.
        """
        if array is None:
            self.table[number] = 0
        elif not self.give_native(number, array):
            return False
        self.given[number] = array
        return True

    def take_back(self, number: int) -> None:
        """Let a piece be read from `inputs` again."""
        self.given[number] = None
        self.table[number] = self.places[number]

    def start(self) -> None:
        """The next bucket of this step is written; sums what all have started, without waiting."""
        if self.n_started == len(self.sizes):
            raise ProcessGroupError(
                f"all {self.n_started} buckets of this step were started; call finish() first"
            )
        self.group.check()
        self.n_started += 1
        buckets.start(self.address)
        self.go(0)

    def finish(self) -> None:
        """Wait until every bucket is summed by all members.

        Raises
        ------
        CollectiveTimeout, WorkerDied, ProcessGroupError
            If members are missing at the deadline, a worker has died, or a member has left or given up.
        """
        if self.n_started < len(self.sizes):
            raise ProcessGroupError(
                f"{self.n_started} of {len(self.sizes)} buckets of this step were started: start() the others first"
            )
        group = self.group
        group.check()
        target = (self.n_steps + 1) * len(self.sizes)
        self.words[buckets.TARGET >> 3] = target
        begun, patience = time.monotonic(), FIRST_SLICE_NS
        try:
            while self.go(patience) == rounds.RUNNING:
                waited = time.monotonic() - begun
                self.look(waited, target)
                if waited > IDLE_S:
                    patience = min(2 * patience, LAST_SLICE_NS)
        except BaseException as error:
            self.give_up(error)
            raise
        self.given = [None] * self.n_pieces
        self.n_steps += 1
        self.n_started = 0

    def give_up(self, error: BaseException) -> None:
        """Tell the others that this member takes part no more; what they may still read is kept."""
        self.group.give_up(error, (self.own, self.result, self.given))

    def look(self, waited: float, target: int) -> None:
        """At the end of a slice: deaths, members that will not come any more, the deadline."""
        group = self.group
        group.session.check(f"the buckets of step {self.n_steps}")

        def is_late(p: int) -> bool:
            return words.load(group.slots[p] + rounds.REDUCED) < target

        late = [p for p in range(group.size()) if is_late(p)]
        for p in late:
            group.refuse_absent(p, f"a step of {len(self.sizes)} buckets", lambda p=p: is_late(p))  # type: ignore[misc]
        if waited > group.timeout_s:
            before = target - len(self.sizes)
            filled = {
                group.members[p]: words.load(group.slots[p] + rounds.FILLED) - before for p in late
            }
            raise group.timeout(
                f"rank {group.members[group.me]} has waited {waited:.3g} s for step {self.n_steps} of a plan of "
                f"{len(self.sizes)} buckets; started so far, by rank: {filled}"
            )

    def close(self) -> None:
        """End it; the arrays stay as long as somebody has them."""
        finish(self.group)
