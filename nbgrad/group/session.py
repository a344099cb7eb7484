"""Session: the membership of this process in a group of workers, and `join`, which makes one.

Note [Users]
~~~~~~~~~~~~
RPC and process groups of one process share a session where both name the same group: the first of them to come joins,
the last to go leaves.  A worker's USERS word tells which of them have come to it in this generation.
U1 (complete)  `join` for RPC returns when RPC has come on every worker, whoever joined for what before.
U2 (once)      RPC joins a generation at most once: rings and rows are only empty at its beginning.

Note [Forked]
~~~~~~~~~~~~~
F1 (apart)   a child forked from a worker has the group's memory as a private copy from its first instruction on, so
             nothing that it does, or that its exit handlers do, reaches the group.
F2 (told)    calls, waits and `shutdown` raise ForkedProcessError there, at the latest at the end of a slice.
"""

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
    USERS,
    Layout,
)
from nbgrad.shm.segment import Segment

SLICE_NS = 50_000_000
RPC, PROCESS_GROUP = 1, 2  # bits of USERS
CALLS = {RPC: "init_rpc()", PROCESS_GROUP: "init_process_group()"}


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
        self.is_open, self.is_forked, self.has_given_up = True, False, False
        self.users = 0
        self.place: tuple | None = None  # what tells this group from others of this process
        self.attached: dict = {}  # what its users keep as long as it is open

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

    def give_up(self) -> None:
        """Tell the others that this worker can't go on: they get `WorkerDied`.  It never leaves, so nobody comes back."""
        self.has_given_up = True
        control.note_death(self.base, self.layout, self.rank, status.encode(1))

    def leave(self, user: int = RPC) -> bool:
        """Leave the group, unless another user stays in it; True if this was the last worker to leave.

        The last one has emptied the control part for the next generation.  No thread of this process may look at what
        belongs to the user any more.  Note [Users]; Note [Generations] of control.py.
        """
        if not self.is_open or self.is_forked:
            return False
        self.users &= ~user
        if self.users:
            return False
        self.is_open = False
        self.attached.clear()
        if self.has_given_up:  # Note [Generations] J3
            _sessions.discard(self)
            return False
        words.store(self.block + STATE, GONE)
        is_last = words.fetch_add(self.base + LEFT, 1) + 1 == self.world
        if is_last:
            control.reset(self.base, self.layout)
        _sessions.discard(self)
        return is_last


_sessions: set[Session] = set()
_segments: dict[int, Segment] = {}  # by address: all that this process has joined
_left: dict[int, int] = {}  # address of a segment -> the generation that this process was in last


def _after_fork() -> None:
    """Note [Forked]."""
    _left.clear()
    for segment in _segments.values():
        segment.make_private()
    for session in _sessions:
        session.is_forked = True


os.register_at_fork(after_in_child=_after_fork)


def join(
    name: str,
    rank: int,
    world_size: int,
    deadline_s: float = 30.0,
    key: str | None = None,
    user: int = RPC,
) -> Session:
    """Become worker `rank` of a group of `world_size`; returns when all have joined.

    A process that `spawn` forked joins the group it was born into, if that has the wanted size; others meet by `key`.
    If another user has joined that group in this process, its session is shared: Note [Users].

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
    user : int
        RPC or PROCESS_GROUP; RPC needs the names of all workers.

    Raises
    ------
    StartupError
        If ranks are missing at the deadline (it names them), a rank or a name is taken twice, sizes differ, another
        version of nbgrad is in the group, or this process is in it under another rank.
    WorkerDied
        If a worker dies while others join.
    """
    if not (0 <= rank < world_size <= MAX_WORLD) or not 0 < len(name.encode()) <= NAME_BYTES:
        raise StartupError(
            f"worker {name!r} with rank {rank} of {world_size} can't join: a group has 1 to {MAX_WORLD} workers, "
            f"ranks from 0 to world_size - 1, and names of 1 to {NAME_BYTES} bytes"
        )
    end = time.monotonic() + deadline_s
    birth = birthplace()
    if birth is not None and birth.layout.world != world_size:
        birth = None
    if birth is None and world_size > 1:
        rendezvous.require_key(key)
    place = (rendezvous.segment_name(key) if birth is None else "", world_size)
    shared = next((session for session in _sessions if session.place == place), None)
    if shared is not None and not shared.is_forked:
        return share(shared, name, rank, user, end, deadline_s)
    if birth is not None:
        session = enter(birth.segment, birth.layout, rank, name, end, deadline_s, user)
    else:
        meeting = rendezvous.meet(key, rank, world_size, end)
        try:
            session = enter(meeting.segment, meeting.layout, rank, name, end, deadline_s, user)
        except BaseException:
            rendezvous.give_up(meeting)
            raise
        meeting.complete()
    session.place = place
    return session


def enter(
    segment: Segment,
    layout: Layout,
    rank: int,
    name: str,
    end: float,
    deadline_s: float,
    user: int = RPC,
) -> Session:
    """Join the next generation in the segment."""
    wait_generation(segment, layout, rank, end)
    session = Session(segment, layout, rank, name)
    session.users = user
    wait_complete(session, end, deadline_s)
    _sessions.add(session)
    _left[session.base] = session.generation
    _segments[session.base] = segment
    if user == RPC:
        meet_callers(session, end, deadline_s)
    return session


def share(
    session: Session, name: str, rank: int, user: int, end: float, deadline_s: float
) -> Session:
    """Let another user into an open session of this process.  Note [Users]."""
    if rank != session.rank:
        raise StartupError(
            f"this process has rank {session.rank} of {session.world} already, so {CALLS[user]} can't give it rank "
            f"{rank} in the same group: give both the same rank, or name another group by init_method"
        )
    came = words.load(session.block + USERS)
    if session.users & user or came & user & RPC:
        raise StartupError(
            f"{CALLS[user]} was called in this group before, which is still in use; call rpc.shutdown() and "
            f"destroy_process_group() first, on all workers"
        )
    if user == RPC:
        session.name = name
        control.write_name(session.block, name)
    session.users |= user
    words.store(session.block + USERS, came | user)
    futex.wake(session.base + JOINED, futex.ALL)
    if user == RPC:
        meet_callers(session, end, deadline_s)
    return session


def meet_callers(session: Session, end: float, deadline_s: float) -> None:
    """Wait until RPC has come on all workers, and learn their names.  Note [Users] U1."""
    blocks = [session.base + session.layout.worker(k) for k in range(session.world)]
    try:
        while missing := [
            k for k, block in enumerate(blocks) if not words.load(block + USERS) & RPC
        ]:
            session.check("a join")
            if time.monotonic() > end:
                raise StartupError(
                    f"{session.name!r} (rank {session.rank} of {session.world}) can't start RPC: ranks {missing} are in "
                    f"the group, but have not called init_rpc() after {deadline_s:g} s"
                )
            futex.wait(session.base + JOINED, session.world, SLICE_NS)
        session.names = [control.read_name(block) for block in blocks]
        refuse_twins(session)
    except BaseException:
        session.leave()
        raise


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
    words.store(block + USERS, session.users)
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
            raise StartupError(
                f"worker name {name!r} is not unique: ranks {first} and {k} both have it. Calls find a worker by "
                "its name, so give each its own."
            )
