"""The watcher of a group whose workers somebody else started: notes deaths, ends nobody.

Note [Watching]
~~~~~~~~~~~~~~~
Rank 0 starts it with the segment.  It opens a pidfd for each worker that the segment names, and sets the poison word
of one that ends before it has left.  It is nobody's parent, so it can't know how they ended.  It also removes the name
of a segment whose rank 0 has ended before it could.
It ends when no worker lives, or when the group has been empty for LINGER_S.
N1 (one)  WATCHED is 1 while a watcher is there: rank 0 starts one by a CAS 0 -> 1, again after all have joined; the
          watcher that wants to end stores 0, and then looks again whether somebody has joined.  Both are sequentially
          consistent, so either the watcher sees the member and stays (CAS back), or rank 0 sees 0 and starts another.
"""

import errno
import os
import select
import time

from nbgrad.group import control, rendezvous, status
from nbgrad.shm import words
from nbgrad.shm.layout import GONE, JOINED, NOT_HERE, PID, STATE, WATCHED, WORLD, Layout
from nbgrad.shm.segment import Segment

SLICE_S = 0.1  # how often it looks for new members
# Errors of pidfd_open: nobody has the pid, or a thread of another process has it by now (ENOENT, or EINVAL).
NO_PROCESS = (errno.ESRCH, errno.EINVAL, errno.ENOENT)
LINGER_S = 0.4  # an empty group may come back; less than the leak checks of tests wait


class Watcher:
    """Watches the workers of one segment."""

    def __init__(self, segment: Segment):
        self.base = segment.address
        self.path = os.readlink(f"/proc/self/fd/{segment.descriptor}")
        self.layout = Layout(words.load(self.base + WORLD))
        self.poller = select.poll()
        self.pidfds: dict[int, int] = {}  # pid -> pidfd
        self.ended: set[int] = set()

    def run(self) -> None:
        """Watch until there is nobody to watch."""
        empty_since = time.monotonic()
        while True:
            members = self.look()
            now = time.monotonic()
            if members:
                empty_since = now
            elif now - empty_since > LINGER_S and self.may_end():
                rendezvous.remove_remnant(self.path)  # of a rank 0 that ended before it had joined
                return
            if self.poller.poll(SLICE_S * 1e3):
                self.note_ends()

    def look(self) -> int:
        """Open a pidfd for each new member; how many members live."""
        members = 0
        for rank in range(self.layout.world):
            pid = words.load(self.base + self.layout.worker(rank) + PID)
            if pid == 0 or pid in self.ended:
                continue
            if pid not in self.pidfds:
                try:
                    self.pidfds[pid] = os.pidfd_open(pid)
                except OSError as error:
                    if error.errno not in NO_PROCESS:
                        raise
                    self.end(pid)
                    continue
                self.poller.register(self.pidfds[pid], select.POLLIN)
            members += 1
        return members

    def note_ends(self) -> None:
        """Find out who has ended."""
        for descriptor, _ in self.poller.poll(0):
            pid = next(pid for pid, pidfd in self.pidfds.items() if pidfd == descriptor)
            self.poller.unregister(descriptor)
            os.close(self.pidfds.pop(pid))
            self.end(pid)

    def end(self, pid: int) -> None:
        """A process has ended: if it was a member, the others must know."""
        self.ended.add(pid)
        rank = control.rank_of(pid, self.base, self.layout)
        if rank < 0:
            return
        if rank == 0:
            rendezvous.remove_remnant(self.path)
        state = words.load(self.base + self.layout.worker(rank) + STATE)
        control.note_exit(self.base, self.layout, rank, status.encode(None))
        if state not in (NOT_HERE, GONE):
            control.note_death(self.base, self.layout, rank, status.encode(None))

    def may_end(self) -> bool:
        """Note [Watching] N1."""
        words.store(self.base + WATCHED, 0)
        if words.load(self.base + JOINED) == 0 or not self.pidfds:
            return True
        return words.cas(self.base + WATCHED, 0, 1) != 0


def main(descriptor: int) -> None:
    """The program: `descriptor` is that of the segment."""
    # Opened anew: what is inherited shares rank 0's lock, and keeps it alive as long as it is open or mapped.
    own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
    os.close(descriptor)
    control.rehearse()
    Watcher(Segment(own, os.fstat(own).st_size)).run()
