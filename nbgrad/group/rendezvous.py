"""Rendezvous: how processes that somebody else started find the segment of their group, by a key they share.

Note [Meeting]
~~~~~~~~~~~~~~
Rank 0 creates the segment under a name made from user and key, holds a lock (flock) on the file, initialises it (magic
word last) and unlinks the name when all have joined.  The others open the name, again and again until the deadline.
M1 (fresh)  the kernel drops the lock when rank 0 dies, so a file that nobody has locked is a remnant: rank 0 replaces
            it, the others ignore it.
M2 (once)   a second group with the same key waits until the first is complete, and then makes its own segment.
M3 (again)  who has met once keeps the segment, and joins it again as a new generation, unless somebody of it has died
            or ended; there is nothing to meet by then, and no memory to grow.
"""

import ctypes
import fcntl
import os
import re
import subprocess
import time
from functools import cache
from pathlib import Path

from nbgrad.errors import StartupError
from nbgrad.group import control, launch
from nbgrad.group.address import key_of
from nbgrad.jit import store
from nbgrad.shm import words
from nbgrad.shm.layout import (
    ARENA_BYTES,
    EXIT,
    FAILED,
    MAGIC,
    MAGIC_VALUE,
    RING_CAPACITY,
    VERSION,
    WATCHED,
    WORLD,
    Layout,
)
from nbgrad.shm.segment import PREFIX, SHM, Segment

RETRY_S = 0.002  # first pause between two looks at the name; doubles up to RETRY_MOST_S
RETRY_MOST_S = 0.05
ORIGIN, ORIGIN_BYTES = 1024, 1024  # in the header: length and text of what `origin` says on rank 0
PACKAGE = Path(__file__).parents[1]


@cache
def version() -> int:
    """Hash of nbgrad's sources: all workers of a group must have the same."""
    sources = [path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))]
    return int(store.digest(*sources), 16) >> 1


def origin() -> str:
    """Which nbgrad this is, for messages: its version and where it lies."""
    found = re.search(r'__version__ = "(.*?)"', (PACKAGE / "__init__.py").read_text())
    return f"{found[1] if found else 'unknown'} in {PACKAGE}"


class Meeting:
    """A segment to join, kept for the next generation."""

    def __init__(self, segment: Segment, layout: Layout, rank: int):
        self.segment, self.layout = segment, layout
        self.keeps_watcher = rank == 0 and layout.world > 1
        self.watcher: subprocess.Popen | None = None

    def watch(self) -> None:
        """Rank 0: start the watcher process, unless one watches already.  Note [Watching] of watcher.py."""
        if not self.keeps_watcher:
            return
        has_ended = self.watcher is not None and self.watcher.poll() is not None
        if words.cas(self.segment.address + WATCHED, 0, 1) == 0 or has_ended:
            number = self.segment.descriptor
            self.watcher = launch.start("watcher", number, [number], start_new_session=True)

    def complete(self) -> None:
        """All have joined: the name is not needed any more, and deaths must be noticed."""
        self.segment.unlink()
        self.watch()

    def close(self) -> None:
        """Give up the name and the descriptor."""
        self.segment.close()


_kept: dict[tuple[str, int, int], Meeting] = {}
os.register_at_fork(after_in_child=_kept.clear)


def meet(key: str | None, rank: int, world: int, end: float) -> Meeting:
    """The segment of the group `key`; rank 0 makes it."""
    name = segment_name(key)
    place = (name, rank, world)
    kept = _kept.get(place)
    if kept is None or is_dead(kept):
        if kept is not None:
            kept.close()
        layout = Layout(world)
        if rank == 0:
            segment = create(name, layout, end)
        else:
            segment = attach(name, layout, rank, end)
            layout = layout_of(segment)  # the sizes are for rank 0 to choose
        kept = _kept[place] = Meeting(segment, layout, rank)
        kept.watch()
    return kept


def give_up(meeting: Meeting) -> None:
    """The group has not become complete: leave no name behind, and start afresh the next time."""
    for place, kept in list(_kept.items()):
        if kept is meeting:
            del _kept[place]
            meeting.close()


def segment_name(key: str | None) -> str:
    """The name of the segment for a key, or for what the environment says."""
    return f"{os.getuid()}-{store.digest((key_of(key) or '').encode())}"


def require_key(key: str | None) -> None:
    """Raise if nothing names the group: all groups of this user without a name would meet as one.

    Raises
    ------
    StartupError
        With what to set.
    """
    if key_of(key) is None:
        raise StartupError(
            "nothing names the group that this worker should join: set MASTER_PORT (and MASTER_ADDR) in the environment of all "
            "of its workers, as a launcher does, or give all of them the same init_method. No port is opened; the name "
            "only keeps groups apart."
        )


def is_dead(meeting: Meeting) -> bool:
    """Whether somebody of a kept segment has died or ended, so that it can't be complete again."""
    base, layout = meeting.segment.address, meeting.layout
    ended = any(words.load(base + layout.worker(k) + EXIT) for k in range(layout.world))
    return ended or words.load(base + FAILED) != 0


def create(name: str, layout: Layout, end: float) -> Segment:
    """Rank 0: the segment, initialised, its file locked."""
    pause = RETRY_S
    while True:
        try:
            segment = Segment.create(name, layout.size_bytes)
        except FileExistsError:
            if not remove_remnant(path_of(name)) and time.monotonic() > end:
                raise StartupError(
                    f"another group is starting under the same name ({name}) and has not become complete; give "
                    "this one another MASTER_PORT or init_method"
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, RETRY_MOST_S)
            continue
        try:
            fcntl.flock(segment.descriptor, fcntl.LOCK_EX)
            if is_named(segment.descriptor, path_of(name)):
                control.commit(segment, layout)
                write_origin(segment)
                control.initialise(segment, layout, version())
                return segment
        except BaseException:
            segment.unlink()
            segment.unmap()
            segment.close()
            raise
        segment.owner = False  # somebody took it for a remnant, before it was locked
        segment.unmap()
        segment.close()


def path_of(name: str) -> str:
    """The file of a segment."""
    return f"{SHM}/{PREFIX}{name}"


def is_named(descriptor: int, path: str) -> bool:
    """Whether the open file is the one that has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def remove_remnant(path: str) -> bool:
    """Unlink the file of a rank 0 that died while it started; True if there was one.  Note [Meeting] M1.

    The lock is held meanwhile, and only the open file is unlinked, so nobody's fresh file is.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_named(descriptor, path):
            os.unlink(path)
            return True
    except BlockingIOError:
        pass  # its rank 0 lives
    finally:
        os.close(descriptor)
    return False


def is_remnant(segment: Segment) -> bool:
    """Whether nobody has locked the file: its rank 0 has died."""
    try:
        fcntl.flock(segment.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(segment.descriptor, fcntl.LOCK_UN)
    return True


def attach(name: str, layout: Layout, rank: int, end: float) -> Segment:
    """The other ranks: the segment that rank 0 makes, checked."""
    pause = RETRY_S
    while True:
        try:
            segment = Segment.attach(name)
        except FileNotFoundError:
            segment = None
        if segment is not None:
            base = segment.address
            while not is_remnant(segment) and time.monotonic() < end:
                # Pairs with the last store of control.initialise: the constants are there.
                if words.load(base + MAGIC) == MAGIC_VALUE:
                    refuse_other(segment, layout, rank)
                    return segment
                time.sleep(RETRY_S)
            segment.unmap()
            segment.close()
        if time.monotonic() > end:
            raise StartupError(
                f"rank {rank} of {layout.world} has found no rank 0 to meet (segment nbgrad-{name} in /dev/shm): "
                "was rank 0 started, on this machine, by this user, with the same MASTER_ADDR and MASTER_PORT "
                "(or init_method)?"
            )
        time.sleep(pause)
        pause = min(2 * pause, RETRY_MOST_S)


def layout_of(segment: Segment) -> Layout:
    """The layout that rank 0 has written into the header."""
    header = (WORLD, RING_CAPACITY, ARENA_BYTES)
    return Layout(*(words.load(segment.address + word) for word in header))


def write_origin(segment: Segment) -> None:
    """Rank 0 says in the header which nbgrad it runs."""
    text = origin().encode()[:ORIGIN_BYTES]
    ctypes.memmove(segment.address + ORIGIN + 8, text, len(text))
    words.store(segment.address + ORIGIN, len(text))


def read_origin(segment: Segment) -> str:
    """Which nbgrad rank 0 runs; its header may be that of another version, which says it elsewhere or not at all."""
    size = words.load(segment.address + ORIGIN)
    if not 0 < size <= ORIGIN_BYTES:
        return "another version"
    return ctypes.string_at(segment.address + ORIGIN + 8, size).decode(errors="replace")


def refuse_other(segment: Segment, layout: Layout, rank: int) -> None:
    """Raise if the segment is of another world size or another nbgrad."""
    found = layout_of(segment)
    has_version = words.load(segment.address + VERSION) == version()
    if has_version and found.world == layout.world:
        return
    theirs = read_origin(segment)
    segment.unmap()
    segment.close()
    if has_version:
        raise StartupError(
            f"rank {rank} has world_size {layout.world}, but rank 0 has {found.world}: all workers must agree"
        )
    raise StartupError(
        f"rank {rank} runs another nbgrad than rank 0: {origin()} here, {theirs} there, and their sources differ. What "
        "workers share in memory is only readable to the same version; start all of them from one installation."
    )
