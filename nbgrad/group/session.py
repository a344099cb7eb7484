"""Session: the membership of this process in a group of workers, and `join`, which makes one."""

import os
import time

from nbgrad.errors import ForkedProcessError, StartupError
from nbgrad.group import control, death, rendezvous, status
from nbgrad.group.place import birthplace
from nbgrad.shm import futex, words
from nbgrad.shm.layout import (
    EXIT,
    FAILED,
    GENERATION,
    GONE,
    JOINED,
    LEFT,
    MAX_WORLD,
    NAME_BYTES,
    PID,
    READY,
    STATE,
    Layout,
)
from nbgrad.shm.segment import Segment

SLICE_NS = 50_000_000


class Session:
    """This process as worker `rank` of a group that is complete.

    Attributes
    ----------
    segment, layout
        The group's shared memory.
    rank, world, name
        Which worker this is, and of how many.
    names : list of str
        All workers' names, by rank.
    """

    def __init__(self, segment: Segment, layout: Layout, rank: int, name: str):
        self.segment, self.layout, self.rank, self.name = segment, layout, rank, name
        self.world, self.base = layout.world, segment.address
        self.block = self.base + layout.worker(rank)
        self.failed_word = self.base + FAILED
        self.generation = words.load(self.base + GENERATION)
        self.names: list[str] = []
        self.is_open, self.is_forked = True, False

    def check(self, during: str = "") -> None:
        """Raise `WorkerDied` if a worker of the group has died; about 60 ns when nobody has."""
        if words.load(self.failed_word) != 0:
            death.check(self.segment, self.layout, during)

    def check_process(self) -> None:
        """Raise `ForkedProcessError` in a process that was forked from the worker."""
        if self.is_forked:
            raise ForkedProcessError(
                f"this process (pid {os.getpid()}) was forked from worker {self.name!r}, and only the worker "
                "itself may use its group: rings and threads are its own. Start processes with "
                "multiprocessing.get_context('spawn'), or before init_rpc."
            )

    def pid(self, rank: int) -> int:
        """Process id of a worker."""
        return words.load(self.base + self.layout.worker(rank) + PID)

    def leave(self) -> bool:
        """Leave the group; True if this was the last worker, who emptied the control part for the next generation.

        No thread of this process may look at its rings any more.  Note [Generations] of control.py.
        """
        if not self.is_open or self.is_forked:
            return False
        self.is_open = False
        words.store(self.block + STATE, GONE)
        is_last = words.fetch_add(self.base + LEFT, 1) + 1 == self.world
        if is_last:
            control.reset(self.base, self.layout)
        _sessions.discard(self)
        return is_last


_sessions: set[Session] = set()
_left: dict[int, int] = {}  # address of a segment -> the generation that this process was in last


def _after_fork() -> None:
    _left.clear()
    for session in _sessions:
        session.is_forked = True


os.register_at_fork(after_in_child=_after_fork)


def join(
    name: str, rank: int, world_size: int, deadline_s: float = 30.0, key: str | None = None
) -> Session:
    """Become worker `rank` of a group of `world_size`; returns when all have joined.

    A process that `spawn` forked joins the group it was born into, if that has the wanted size; others meet by `key`.

    Parameters
    ----------
    name : str
        Unique in the group, at most 128 bytes.
    rank, world_size : int
        Which worker, of how many (at most 31).
    deadline_s : float
        Seconds to wait for the others.
    key : str, optional
        What names the group: by default NBGRAD_RUN_ID, or MASTER_ADDR:MASTER_PORT.

    Raises
    ------
    StartupError
        If ranks are missing at the deadline (it names them), a rank or a name is taken twice, sizes differ, or another
        version of nbgrad is in the group.
    WorkerDied
        If a worker dies while others join.
    """
    if not (0 <= rank < world_size <= MAX_WORLD) or not 0 < len(name.encode()) <= NAME_BYTES:
        raise StartupError(
            f"worker {name!r} with rank {rank} of {world_size} can't join: a group has 1 to {MAX_WORLD} workers, "
            f"ranks from 0 to world_size - 1, and names of 1 to {NAME_BYTES} bytes"
        )
    end = time.monotonic() + deadline_s
    place = birthplace()
    if place is not None and place.layout.world == world_size:
        return enter(place.segment, place.layout, rank, name, end, deadline_s)
    meeting = rendezvous.meet(key, rank, world_size, end)
    try:
        session = enter(meeting.segment, meeting.layout, rank, name, end, deadline_s)
    except BaseException:
        rendezvous.give_up(meeting)
        raise
    meeting.complete()
    return session


def enter(
    segment: Segment, layout: Layout, rank: int, name: str, end: float, deadline_s: float
) -> Session:
    """Join the next generation in the segment."""
    wait_generation(segment, layout, rank, end)
    session = Session(segment, layout, rank, name)
    wait_complete(session, end, deadline_s)
    session.names = [
        control.read_name(session.base + layout.worker(k)) for k in range(layout.world)
    ]
    _sessions.add(session)
    _left[session.base] = session.generation
    refuse_twins(session)
    return session


def wait_generation(segment: Segment, layout: Layout, rank: int, end: float) -> None:
    """Wait until those who were in the last generation with this process have left too.  Note [Generations] J2."""
    word = segment.address + GENERATION
    last = _left.get(segment.address, 0)
    while words.load(word) <= last:
        death.check(segment, layout, "a join")
        if time.monotonic() > end:
            states = [
                k
                for k in range(layout.world)
                if words.load(segment.address + layout.worker(k) + STATE) != GONE
            ]
            raise StartupError(
                f"rank {rank} wants to join again, but ranks {states} have not left the last group: they must call "
                f"`rpc.shutdown()` too"
            )
        futex.wait(word, last & 0xFFFFFFFF, SLICE_NS)


def wait_complete(session: Session, end: float, deadline_s: float) -> None:
    """Take the rank, then wait until all are here.  Note [Generations]."""
    base, block, world = session.base, session.block, session.world
    holder = words.cas(block + PID, 0, os.getpid())
    if holder != 0:
        raise StartupError(
            f"rank {session.rank} is taken by {control.read_name(block)!r} (pid {holder}); {session.name!r} (pid "
            f"{os.getpid()}) needs a rank of its own"
        )
    control.write_name(block, session.name)
    words.store(block + STATE, READY)
    words.fetch_add(base + JOINED, 1)
    try:
        while True:
            futex.wake(base + JOINED, futex.ALL)
            joined = words.load(base + JOINED)
            if joined == world:
                return
            session.check("a join")
            refuse_missing(session, time.monotonic() > end, deadline_s)
            futex.wait(base + JOINED, joined, SLICE_NS)
    except BaseException:
        withdraw(session)
        raise


def withdraw(session: Session) -> None:
    """Take back a join that failed.  Note [Generations] J1."""
    base = session.base
    while True:
        joined = words.load(base + JOINED)
        if joined == session.world:  # complete after all: the others count on this worker
            _left[base] = session.generation
            session.leave()
            return
        if words.cas(base + JOINED, joined, joined - 1) == joined:
            control.empty_block(session.block)
            return


def refuse_missing(session: Session, is_late: bool, deadline_s: float) -> None:
    """Raise where the group can't become complete any more: the time is over, or a worker ended before it joined."""
    missing = []
    has_ended = False
    for k in range(session.world):
        block = session.base + session.layout.worker(k)
        if words.load(block + STATE) != READY:
            word = words.load(block + EXIT)
            has_ended = has_ended or word != 0
            missing.append(f"{k} ({status.describe(status.decode(word))})" if word else str(k))
    if missing and (is_late or has_ended):
        why = f"after {deadline_s:g} s" if is_late else "since a process has ended"
        raise StartupError(
            f"{session.name!r} (rank {session.rank} of {session.world}) can't start: rank {', '.join(missing)} "
            f"did not join {why}. Start all ranks with the same world_size and the same MASTER_ADDR and "
            "MASTER_PORT, and look at their stderr."
        )


def refuse_twins(session: Session) -> None:
    """Raise, in all workers, if two have one name."""
    for k, name in enumerate(session.names):
        first = session.names.index(name)
        if first != k:
            session.leave()
            raise StartupError(
                f"worker name {name!r} is not unique: ranks {first} and {k} both have it. Calls find a worker by "
                "its name, so give each its own."
            )
