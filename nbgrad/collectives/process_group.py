"""ProcessGroup: some workers of a session that run collectives together, and how a member runs one.

    all_reduce(x)  ──►  begin                             a small one: one native call, a few microseconds
                   ──►  Operation ─► its turn ─► load     then `go`, slice by slice, until it is complete

Between slices this worker looks at deaths, at members that have left or given up, at its deadline and at signals.

Note [Turns]
~~~~~~~~~~~~
Assumes   `begin`, and what Python reads and writes of IN_USE, happen under the GIL.
T1 (one)    an operation is under way from the moment that IN_USE is set until it is cleared; `begin` sets it only where it is
            clear, the long way only where it holds the lock `turn` and finds it clear.
T2 (order)  operations of the queue (async_op) run in its order, whoever runs them; until they are done `begin` is refused.
T3 (over)   a member that gives up (deadline, Ctrl-C, a death) says so in its slot, and takes no part in this group any more;
            arrays that others may still write are kept as long as the session.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nbgrad.collectives import letters, rounds
from nbgrad.collectives.block import Block, spare
from nbgrad.collectives.native import NOT_SMALL
from nbgrad.collectives.operation import Operation, describe
from nbgrad.collectives.premises import Premises
from nbgrad.errors import CollectiveTimeout, DesyncError, MemberHung, ProcessGroupError
from nbgrad.logs import logger
from nbgrad.rpc.hung import stopped
from nbgrad.rpc.patience import warning_s
from nbgrad.shm import words

FIRST_SLICE_NS, LAST_SLICE_NS = 5_000_000, 200_000_000
IDLE_S = 1.0  # slices grow when nothing has come for so long
GAVE_UP, LEFT = 1, 2  # values of STATUS, with the group's number above
SEQ_BITS = 38  # rounds of one group; its number stands above


def refuse(*arguments: Any) -> int:
    """`begin` of a group that has ended, or of a forked child: the long way says what is wrong."""
    return NOT_SMALL


class ProcessGroup:
    """Workers that run collectives together; made by `init_process_group` and `new_group`.

    Attributes
    ----------
    members : tuple of int
        Ranks, in the default group, of the members; a member's place in it is its rank in this group.
    me : int
        This process's place.
    timeout_s : float
        Seconds that a collective may take.
    """

    def __init__(
        self, premises: Premises, slot: int, members: tuple[int, ...], timeout_s: float, name: str
    ):
        session = premises.session
        self.premises, self.session, self.slot, self.name = premises, session, slot, name
        self.members, self.me = members, members.index(session.rank)
        self.timeout_s, self.warning_s = timeout_s, warning_s()
        self.number = premises.n_groups
        self.slots = premises.slots(slot, members)
        premises.free &= ~(1 << slot)
        self.box, self.box_bytes = premises.box(slot)
        self.block = spare.pop() if spare else Block()
        seq = self.number << SEQ_BITS
        meets = premises.meets(members)
        self.block.set_up(session.base, self.slots, meets, self.me, seq, self.box)
        letters.clear(self.block.address)
        self.sending, self.receiving = threading.Lock(), threading.Lock()
        self.begin: Any = self.block.begin
        self.turn = threading.Lock()
        self.queue: deque = deque()  # of Work
        self.waker = threading.Semaphore(0)  # one for each work put into the queue
        self.thread: threading.Thread | None = None
        self.closed = False
        self.broken = ""  # why no more collectives can run here
        self.n_shared = 0  # results in shared memory so far: whose turn it is to keep one

    def rank(self) -> int:
        """This process's rank in the group."""
        return self.me

    def size(self) -> int:
        """How many members the group has."""
        return len(self.members)

    def __repr__(self) -> str:
        return f"<ProcessGroup {self.name!r}, ranks {list(self.members)}, this is rank {self.me}>"

    # ------------------------------------------------------------ running operations

    def check(self) -> None:
        """Raise if this group can't run collectives here any more."""
        self.session.check_process()
        if self.broken:
            raise ProcessGroupError(self.broken)

    def run(self, o: Operation) -> int:
        """Run an operation, after those of the queue, and return when it is complete.

        Raises
        ------
        DesyncError
            If another member runs another one.
        CollectiveTimeout, WorkerDied, ProcessGroupError
            If members are missing at the deadline, a worker has died, or a member has left or given up.
        """
        is_well = False
        try:
            self.check()
            self.take_turn()
            try:
                while self.queue:
                    self.queue.popleft().perform()
                result = self.perform(o)
                is_well = True
                return result
            finally:
                self.turn.release()
        finally:
            o.ends.run(is_well)

    def drain(self) -> None:
        """Run what is in the queue."""
        self.take_turn()
        try:
            while self.queue:
                self.queue.popleft().perform()
        finally:
            self.turn.release()

    def take_turn(self) -> None:
        """Get the lock while nothing is under way.  Note [Turns] T1."""
        self.turn.acquire()
        while self.block[rounds.STAGE] != rounds.IDLE and not self.broken:
            self.turn.release()  # another thread is on its way from `begin` to `complete_begun`
            time.sleep(0)
            self.turn.acquire()

    def perform(self, o: Operation) -> int:
        """Run an operation; the caller has the turn."""
        self.check()
        self.block[rounds.IN_USE] = 1
        self.block.load(o, self.premises.binding)
        result = self.complete(o.timeout_s or self.timeout_s, [o.ins, o.outs])
        if result == rounds.NO_ROOM and o.otherwise is not None:
            return self.perform(o.otherwise())
        return result

    def complete(self, timeout_s: float, keep: Any) -> int:
        """Go on until the operation under way is over; COMPLETE or NO_ROOM."""
        begun = time.monotonic()
        patience, go, next_s = FIRST_SLICE_NS, self.block.go, self.warning_s
        try:
            while (result := go(patience)) == rounds.RUNNING:
                waited = time.monotonic() - begun
                self.look(waited, timeout_s)
                if waited > IDLE_S:
                    patience = min(2 * patience, LAST_SLICE_NS)
                if waited > next_s > 0:
                    next_s *= 2
                    logger.warning(self.lateness(waited))
        except BaseException as error:
            self.give_up(error, keep)
            raise
        self.block[rounds.IN_USE] = 1 if self.queue else 0
        if result == rounds.DIFFERENT:
            raise DesyncError(self.difference())
        return result

    def complete_begun(self, result: int, array: Any) -> None:
        """Finish what `begin` has left RUNNING, or say what it found."""
        if result == rounds.DIFFERENT:
            raise DesyncError(self.difference())
        with self.turn:
            self.complete(self.timeout_s, array)

    def kept(self, keeper: int) -> int:
        """What the keeper's record told in the last round: where the shared result lies, as an offset in the segment."""
        seq = self.block[rounds.SEQ] - 1
        return words.load(self.slots[keeper] + (seq & 1) * rounds.LINE_BYTES + rounds.KEPT)

    # ------------------------------------------------------------ while waiting

    def record(self, member: int, seq: int) -> str:
        """What a member does in a round, for messages."""
        line = self.slots[member] + (seq & 1) * rounds.LINE_BYTES
        if words.load(line + rounds.ROUND) >> SEQ_BITS != self.number:
            return "nothing yet"
        shape = [words.load(line + rounds.SHAPE + 8 * k) for k in range(rounds.MAX_ND)]
        return describe(words.load(line + rounds.SHOWN), shape, self.members)

    def missing(self) -> list[int]:
        """Members who have not arrived in the round under way."""
        seq = self.block[rounds.SEQ]
        line = (seq & 1) * rounds.LINE_BYTES + rounds.ROUND
        return [p for p, slot in enumerate(self.slots) if words.load(slot + line) != seq]

    def look(self, waited: float, timeout_s: float) -> None:
        """At the end of a slice: deaths, members that will not come any more, the deadline."""
        own = self.record(self.me, self.block[rounds.SEQ])
        self.session.check(own)
        for p in self.missing():
            self.refuse_absent(p, own, lambda p=p: p in self.missing())  # type: ignore[misc]
        if waited > timeout_s:
            raise self.timeout(
                f"{self.lateness(timeout_s)} The time is `timeout` of init_process_group() and new_group()."
            )

    def timeout(self, text: str) -> CollectiveTimeout:
        """What to raise for members that are late: MemberHung where a worker is known to be stopped."""
        hung = stopped(self.session)
        return MemberHung(f"{text} {hung}") if hung else CollectiveTimeout(text)

    def refuse_absent(self, p: int, own: str, is_missing: Callable[[], bool]) -> None:
        """Raise if a member that this one waits for has left the group, or given up."""
        status = words.load(self.slots[p] + rounds.STATUS)
        if status >> 4 != self.number or not status & 15 or not is_missing():
            return  # `is_missing`, asked again: it may have come, and left then
        how = "has given up" if status & 15 == GAVE_UP else "has left"
        raise ProcessGroupError(
            f"rank {self.members[p]} {how} the process group {self.name!r}, in which rank {self.members[self.me]} runs "
            f"{own}: it never comes. All members must run the same collectives before destroy_process_group()."
        )

    def lateness(self, waited: float) -> str:
        """For whom this member has waited so long, and what those did last."""
        seq = self.block[rounds.SEQ]
        own = self.record(self.me, seq)
        late = [f"rank {self.members[p]} (last: {self.record(p, seq - 1)})" for p in self.missing()]
        return (
            f"rank {self.members[self.me]} has waited {waited:.3g} s in {own} of the process group {self.name!r} for "
            f"{', '.join(late)}. Does every member run the same collectives in the same order? Is one of them much slower, or "
            f"waiting for something else?"
        )

    def difference(self) -> str:
        """Who differs from whom in the round that is just over."""
        seq, other = self.block[rounds.SEQ] - 1, self.block[rounds.OTHER]
        here = [self.record(p, seq) for p in range(len(self.members))]
        return (
            f"members of the process group {self.name!r} do not run the same collective: rank {self.members[0]} runs "
            f"{here[0]}, rank {self.members[other]} runs {here[other]}. Nothing was moved, and the group goes on; look for "
            f"what these ranks do differently before this call."
        )

    # ------------------------------------------------------------ ends

    def give_up(self, error: BaseException, keep: Any) -> None:
        """Take no part any more, and tell the others.  Note [Turns] T3."""
        self.premises.kept.append(keep)
        self.broken = (
            f"this process gave up a collective of the process group {self.name!r} before ({type(error).__name__}: "
            f"{error}), so it does not know any more where the others are; make a new group"
        )
        self.tell(GAVE_UP)

    def tell(self, status: int) -> None:
        """Write this member's STATUS, and make those who sleep look at it."""
        words.store(self.slots[self.me] + rounds.STATUS, self.number << 4 | status)
        rounds.rouse(self.block.address)

    def close(self) -> None:
        """Leave the group."""
        if self.broken.endswith("destroyed"):
            return
        was_broken, self.broken = self.broken, "this process group was destroyed"
        self.block[rounds.IN_USE] = 1
        self.begin = refuse
        self.tell(LEFT)
        self.waker.release()  # the thread ends
        if was_broken or self.block[rounds.STAGE] == rounds.IDLE:  # no thread of ours is in it
            self.premises.free |= 1 << self.slot
            if self.thread is None:
                spare.append(self.block)
