"""The process groups of this process begin and end: `init_process_group`, `new_group`, `destroy_process_group`.

Note [Group numbers]
~~~~~~~~~~~~~~~~~~~~
A group's rounds start at its number << SEQ_BITS.  Default groups are counted by each worker for itself, since all workers of a
session make them together; a further group gets a number above all that its members have seen, which they tell each other when
they choose a slot that is free with all of them.  So no word of an earlier group in the same slot looks like one of this.
"""

import atexit
import contextlib
import os
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import numpy as np

from nbgrad import group as workers
from nbgrad import logs
from nbgrad.collectives import operation, rounds
from nbgrad.collectives.membership import GroupMember, State, default_group
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.premises import GROUP_BITS, Premises
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.errors import DesyncError, ProcessGroupError
from nbgrad.shm.layout import SLOTS

__all__ = [
    "destroy_process_group",
    "init_process_group",
    "new_group",
]

START_S = 300.0  # how long init_process_group waits for the others, unless it is told
DEFAULT_TIMEOUT_S = 1800.0
BACKENDS = ("gloo", "shm", "cpu:gloo")


# ------------------------------------------------------------ begin and end


def init_process_group(
    backend: Any = None,
    init_method: str | None = None,
    timeout: timedelta | float | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Join the default process group; returns when all have joined.

    In a process that has called `rpc.init_rpc` for the same workers both share one group.

    Parameters
    ----------
    backend : str, optional
        "gloo" or nothing: there is one backend, shared memory.
    init_method : str, optional
        Names the group, as MASTER_ADDR and MASTER_PORT do; no port is opened.  `tcp://host:port?rank=0&world_size=2` tells
        rank and size too.
    timeout : timedelta or float, optional
        Seconds that a collective may take, and that the others may be late now.  By default 30 minutes, and 5.
    world_size, rank : int, optional
        By default the environment's WORLD_SIZE and RANK, or the place in `nbgrad.multiprocessing.spawn`.
    group_name, pg_options, device_id
        Accepted; without a meaning here.

    Raises
    ------
    ProcessGroupError
        If this process is in a default group already, or rank or size are unknown, or the backend or a store is.
    StartupError, CollectiveTimeout
        If ranks are missing at the deadline.

    Examples
    --------
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> dist.get_world_size()
    1
    >>> dist.destroy_process_group()
    """
    if State.default is not None:
        raise ProcessGroupError(
            "trying to initialize the default process group twice! Call destroy_process_group() before"
        )
    check_backend(backend)
    if store is not None:
        raise ProcessGroupError(
            f"init_process_group got store={store!r}, but workers meet in shared memory and need none; leave it away"
        )
    rank, world_size = place(init_method, rank, world_size)
    start_s = START_S if timeout is None else seconds_of(timeout)
    session = workers.join(
        f"rank{rank}", rank, world_size, start_s, init_method, workers.PROCESS_GROUP
    )
    premises = Premises.of(session)
    try:
        premises.enter()
        premises.n_inits += 1
        premises.n_groups = premises.n_inits << GROUP_BITS
        members = tuple(range(world_size))
        limit_s = DEFAULT_TIMEOUT_S if timeout is None else start_s
        State.default = open_group(
            premises, 0, members, limit_s, "default", Kind.init_process_group, start_s
        )
        # Nobody returns before all have set it: who returns may call others, whose functions use the group at once.
        # Twice, so that an odd number of rounds has passed: the first round of the next group in these slots then does not
        # write over the last one of this, if one collective follows, while slow members still read it.
        for _ in range(2):
            agree(State.default, Kind.init_process_group, [0], start_s)
    except BaseException:
        leave(session)
        raise
    if not logs.handlers:
        logs.configure(session.name)
    logs.logger.info(f"{State.default!r} has formed in pid {os.getpid()}")
    atexit.register(end_at_exit)


def open_group(
    premises: Premises,
    slot: int,
    members: tuple[int, ...],
    timeout_s: float,
    name: str,
    kind: Kind,
    start_s: float,
) -> ProcessGroup:
    """A new group in that slot; returns when all members have come."""
    made = ProcessGroup(premises, slot, members, timeout_s, name)
    try:
        rows = agree(made, kind, [made.box_bytes], start_s)
    except BaseException:
        made.close()
        raise
    made.block[rounds.BOX_BYTES] = int(rows[:, 0].min())
    State.groups.append(made)
    return made


def agree(pg: ProcessGroup, kind: Kind, numbers: list[int], timeout_s: float = 0.0) -> np.ndarray:
    """Every member's numbers, shape (members, numbers)."""
    rows = np.empty((pg.size(), len(numbers)), np.int64)
    o = operation.all_gather(list(rows), np.array(numbers, np.int64), kind)
    o.timeout_s = timeout_s
    pg.run(o)
    return rows


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | float | None = None,
    backend: Any = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
) -> Any:
    """A process group of some ranks; all ranks of the default group call this, in the same order, members or not.

    Parameters
    ----------
    ranks : list of int, optional
        The members, as ranks of the default group; all by default.  Their ranks in the new group follow this order, sorted.
    timeout : timedelta or float, optional
        Seconds that a collective may take; the default group's time by default.
    backend, pg_options, group_desc, device_id
        As in `init_process_group`.
    use_local_synchronization : bool
        Must be False.

    Returns
    -------
    ProcessGroup
        `GroupMember.NON_GROUP_MEMBER` in processes that are not in it.

    Raises
    ------
    ProcessGroupError
        If the ranks are not ranks of the default group, or 62 groups are open.
    DesyncError
        If workers name different ranks.

    Examples
    --------
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> dist.new_group([0], group_desc="pair")
    <ProcessGroup 'pair', ranks [0], this is rank 0>
    >>> dist.destroy_process_group()
    """
    default = default_group()
    check_backend(backend)
    if use_local_synchronization:
        raise ProcessGroupError(
            "new_group(use_local_synchronization=True) is not supported: all ranks of the default group must call it"
        )
    members = (
        tuple(range(default.size())) if ranks is None else tuple(sorted(int(r) for r in ranks))
    )
    known = range(default.size())
    if len(set(members)) != len(members) or not members or not all(r in known for r in members):
        raise ProcessGroupError(
            f"new_group got ranks {list(ranks or ())}: it takes different ranks of the default group, 0 to {known[-1]}, "
            f"and at least one"
        )
    slot, digests = allot(default, Kind.new_group, zlib.crc32(repr(members).encode()))
    if (digests != digests[default.me]).any():
        other = int((digests != digests[default.me]).argmax())
        raise DesyncError(
            f"rank {default.me} calls new_group with ranks {list(members)}, and rank {other} with other ones: all ranks of "
            f"the default group must make the same groups in the same order, also those they are not in"
        )
    if default.me not in members:
        return GroupMember.NON_GROUP_MEMBER
    premises = default.premises
    limit_s = default.timeout_s if timeout is None else seconds_of(timeout)
    name = group_desc or f"group {premises.n_groups}"
    return open_group(premises, slot, members, limit_s, name, Kind.new_group, limit_s)


def allot(pg: ProcessGroup, kind: Kind, digest: int) -> tuple[int, np.ndarray]:
    """A slot that is free with all members, and their digests.  Note [Group numbers]."""
    premises = pg.premises
    rows = agree(pg, kind, [premises.free, premises.n_groups, digest])
    premises.n_groups = int(rows[:, 1].max()) + 1
    free = int(np.bitwise_and.reduce(rows[:, 0]))
    if free == 0:
        raise ProcessGroupError(
            f"{SLOTS} process groups are open, and there is room for no more: destroy_process_group(group) those that are "
            f"not needed any more"
        )
    return (free & -free).bit_length() - 1, rows[:, 2]


def new_group_of(pg: ProcessGroup, kind: Kind) -> ProcessGroup:
    """Another group of the same members, who all call this."""
    slot, _ = allot(pg, kind, 0)
    name = f"{pg.name}, {kind.name} {pg.premises.n_groups}"
    return open_group(pg.premises, slot, pg.members, pg.timeout_s, name, kind, pg.timeout_s)


def destroy_process_group(group: Any = None) -> None:
    """Leave a process group, or all of them.

    Parameters
    ----------
    group : ProcessGroup, optional
        Default: the default group, and with it all others.

    Raises
    ------
    ProcessGroupError
        If there is no such group.
    """
    chosen = default_group() if group is None else group
    if chosen not in State.groups:
        raise ProcessGroupError(f"destroy_process_group got {group!r}, which is no open group")
    if chosen is not State.default:
        finish(chosen)
        return
    try:
        for pg in list(State.groups):
            finish(pg)
    finally:
        atexit.unregister(end_at_exit)
        leave(chosen.session)


def finish(pg: ProcessGroup) -> None:
    """End a group when what is in its queue is done."""
    try:
        pg.drain()
    finally:
        State.groups.remove(pg)
        pg.close()


def leave(session: Any) -> None:
    """Leave the session; nothing of it is used any more."""
    for pg in State.groups:
        pg.close()
    State.groups.clear()
    State.default = None
    Premises.of(session).leave()
    session.leave(workers.PROCESS_GROUP)


def end_at_exit() -> None:
    """The process ends without `destroy_process_group`: leave, without waiting for anybody."""
    if State.default is not None and not State.default.session.is_forked:
        with contextlib.suppress(Exception):
            leave(State.default.session)


# ------------------------------------------------------------ arguments


def check_backend(backend: Any) -> None:
    """Refuse what is not there."""
    if backend is None or str(backend).lower() in BACKENDS:
        return
    raise ProcessGroupError(
        f"backend {backend!r} is not there: workers are processes of one machine without GPUs, which meet in shared memory; "
        f'write backend="gloo", or nothing'
    )


def seconds_of(timeout: timedelta | float) -> float:
    """A time-out in seconds."""
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if seconds <= 0:
        raise ProcessGroupError(f"the timeout is {timeout!r}, but must be longer than nothing")
    return seconds


def place(init_method: str | None, rank: int, world_size: int) -> tuple[int, int]:
    """Rank and size: as given, from the URL, from the environment, or from `spawn`."""
    found = workers.rank_and_size(init_method, rank, world_size)
    for value, name in zip(found, ("rank", "world_size")):
        if value is None:
            raise ProcessGroupError(
                f"Error initializing nbgrad.distributed using env:// rendezvous: environment variable {name.upper()} expected, "
                f"but not set; give init_process_group({name}=), or start the workers with nbgrad.multiprocessing.spawn or "
                f"`nbgrad run`"
            )
    return cast("tuple[int, int]", found)
