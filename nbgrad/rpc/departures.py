"""Departures: a worker that has left the group answers nothing any more, and whoever waits for it is told.

shutdown()                 all leave together when nothing is under way: nobody is told of anything
shutdown(graceful=False)   this worker leaves now: STATE = GONE, after its last message
the process ends           likewise, from its exit handler
"""

import time
from typing import Any

from nbgrad.errors import RpcError
from nbgrad.shm import words
from nbgrad.shm.layout import GONE, STATE

READ_S = 0.1  # what a worker posted before it left has been read by then: all rings are polled at every slice's end


class Departures:
    """Who has left the group of a session."""

    def __init__(self, session: Any):
        self.session = session
        base, layout = session.segment.address, session.layout
        self.states = [base + layout.worker(rank) + STATE for rank in range(session.world)]
        self.seen: dict[int, float] = {}  # rank -> when it was first seen to have left

    def mask(self) -> int:
        """Workers that have left, and whose messages have all been read."""
        found = 0
        for rank, state in enumerate(self.states):
            if words.load(state) == GONE:
                now = time.monotonic()
                if now - self.seen.setdefault(rank, now) > READ_S:
                    found |= 1 << rank
        return found

    def error(self, gone: int) -> RpcError:
        """What those are told who wait for one of the workers in the mask."""
        names = self.session.names
        left = ", ".join(repr(name) for rank, name in enumerate(names) if gone >> rank & 1)
        return RpcError(
            f"worker {left} has left the group: it called shutdown(graceful=False), or its process ended without "
            f"shutdown(). It answers nothing any more; call shutdown() on all workers, which waits for what is under way."
        )
