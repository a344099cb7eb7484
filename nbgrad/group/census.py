"""Census: which groups of this user live on this machine, read from outside through the descriptors of their processes.

A group's segment has no name, but whoever is in it holds it open, and /proc shows what a process holds open.  Everything
is read through descriptors of our own, opened for reading only: no group notices.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from nbgrad.group.rendezvous import remove_remnant
from nbgrad.shm.layout import (
    DRAINED,
    GENERATION,
    GONE,
    LEAVING,
    MAGIC,
    MAGIC_VALUE,
    MAX_WORLD,
    NAME,
    NAME_BYTES,
    NAME_SIZE,
    NOT_HERE,
    PAGE,
    PID,
    POISON,
    READY,
    STATE,
    WORLD,
)
from nbgrad.shm.segment import PREFIX, SHM

STATES = {
    NOT_HERE: "not here",
    READY: "ready",
    LEAVING: "leaving",
    DRAINED: "leaving",
    GONE: "gone",
}


@dataclass(frozen=True)
class Member:
    """One worker of a group.

    Attributes
    ----------
    rank, pid : int
        `pid` is 0 while nobody has taken the rank.
    name : str
        As given to `init_rpc`.
    state : str
        `not here`, `ready`, `leaving`, `gone` or `dead`.
    """

    rank: int
    pid: int
    name: str
    state: str


@dataclass(frozen=True)
class Census:
    """One group.

    Attributes
    ----------
    holders : tuple of int
        Pids of all processes that hold its segment: workers, supervisor or watcher, launcher.
    generation : int
        How many times it has been formed.
    memory_bytes : int
        Shared memory that it takes from the machine.
    members : tuple of Member
        By rank.
    """

    holders: tuple[int, ...]
    generation: int
    memory_bytes: int
    members: tuple[Member, ...]


def groups() -> list[Census]:
    """All groups of this user whose segment some process holds.

    Examples
    --------
    >>> from nbgrad.group import census
    >>> all(group.holders for group in census.groups())
    True
    """
    holders: dict[tuple[int, int], list[int]] = {}
    opened: dict[tuple[int, int], int] = {}
    try:
        for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
            for link in links(pid):
                note(link, pid, holders, opened)
        found = [read(descriptor, tuple(holders[key])) for key, descriptor in opened.items()]
    finally:
        for descriptor in opened.values():
            os.close(descriptor)
    return [group for group in found if group is not None]


def links(pid: int) -> list[str]:
    """The entries of a process's open files that are segments; none if it is not ours, or has gone."""
    folder = f"/proc/{pid}/fd"
    found = []
    try:
        for entry in os.listdir(folder):
            target = os.readlink(f"{folder}/{entry}")
            if target.startswith(("/memfd:nbgrad", f"{SHM}/{PREFIX}")):
                found.append(f"{folder}/{entry}")
    except OSError:
        pass
    return found


def note(link: str, pid: int, holders: dict, opened: dict) -> None:
    """Add one open file of a process, which may close it meanwhile."""
    try:
        facts = os.stat(link)
        key = (facts.st_dev, facts.st_ino)
        if key not in opened:
            opened[key] = os.open(link, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    if pid not in holders.setdefault(key, []):
        holders[key].append(pid)


def read(descriptor: int, holders: tuple[int, ...]) -> Census | None:
    """What the control part of a segment says; None if it is not (yet) one of this version."""
    header = os.pread(descriptor, PAGE, 0)
    world = word(header, WORLD) if len(header) == PAGE else 0
    if not 1 <= world <= MAX_WORLD or word(header, MAGIC) != MAGIC_VALUE:
        return None
    members = tuple(
        member(rank, os.pread(descriptor, PAGE, PAGE * (1 + rank))) for rank in range(world)
    )
    memory = os.fstat(descriptor).st_blocks * 512
    return Census(holders, word(header, GENERATION), memory, members)


def member(rank: int, block: bytes) -> Member:
    """A worker, from its block."""
    size = min(max(word(block, NAME_SIZE), 0), NAME_BYTES)
    name = block[NAME : NAME + size].decode(errors="replace")
    state = "dead" if word(block, POISON) else STATES.get(word(block, STATE), "unknown")
    return Member(rank, word(block, PID), name, state)


def word(page: bytes, offset: int) -> int:
    """A signed 64-bit word of a page."""
    return int.from_bytes(page[offset : offset + 8], "little", signed=True)


def clean() -> list[str]:
    """Remove what groups that were killed while they started have left in /dev/shm; the names of the files.

    A file whose rank 0 lives is left alone.  Note [Meeting] M1 of rendezvous.py.
    """
    ours = [
        str(path)
        for path in sorted(Path(SHM).glob(f"{PREFIX}*"))
        if path.stat(follow_symlinks=False).st_uid == os.getuid()
    ]
    return [path for path in ours if remove_remnant(path)]
