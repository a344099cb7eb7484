"""The segment that this process was born into, if a supervisor forked it; `join` looks here first."""

import os
from dataclasses import dataclass

from nbgrad.shm.layout import Layout
from nbgrad.shm.segment import Segment


@dataclass
class Place:
    """Segment and layout of the group that a supervisor made, and this worker's number in it."""

    segment: Segment
    layout: Layout
    index: int


_here: list[Place] = []
os.register_at_fork(after_in_child=_here.clear)  # a child of a worker is not the worker


def settle(place: Place) -> None:
    """Called once, in a new worker."""
    _here[:] = [place]


def birthplace() -> Place | None:
    """Where this process was born; None: not forked by a supervisor."""
    return _here[0] if _here else None
