"""Leaving: what `shutdown` waits for, one condition after the other."""

import time
from typing import Any

from nbgrad.rpc.future import timeout_error
from nbgrad.rpc.hung import stopped
from nbgrad.shm import bell, words
from nbgrad.shm.layout import LEAVING, STATE


class AllReached:
    """Finished when every worker's STATE is at least `least`."""

    def __init__(self, agent: Any, least: int):
        self.first = agent.session.segment.address + agent.session.layout.worker(0)
        self.world, self.least = agent.world, least

    @property
    def finished(self) -> bool:
        return bool(bell.all_reached(self.first, self.world, self.least))


class Quiet:
    """Finished when no call of this worker is under way and it runs no request."""

    def __init__(self, agent: Any):
        self.agent = agent

    @property
    def finished(self) -> bool:
        return not self.agent.futures and not self.agent.serving.queue


def reach(agent: Any, value: int) -> None:
    """Set this worker's STATE and tell the others."""
    words.store(agent.own + STATE, value)
    for rank in range(agent.world):
        if rank != agent.rank:
            bell.rouse(agent.binding.worker(rank), 1 << agent.rank)


class Until:
    """A condition with a deadline."""

    is_idle = True  # nobody is told that it takes long
    text = "all workers to call shutdown(), and for what is under way"

    def __init__(self, condition: Any, end: float | None, agent: Any):
        self.condition, self.end, self.agent = condition, end, agent

    @property
    def finished(self) -> bool:
        if self.condition.finished:
            return True
        if self.end is not None and time.monotonic() > self.end:
            layout, base = self.agent.session.layout, self.agent.session.segment.address
            late = [
                name
                for rank, name in enumerate(self.agent.session.names)
                if words.load(base + layout.worker(rank) + STATE) < LEAVING
            ]
            raise timeout_error(
                f"shutdown timed out: workers {late} have not called it and calls may still be under way. This worker "
                f"has left the group.",
                stopped(self.agent.session),
            )
        return False
