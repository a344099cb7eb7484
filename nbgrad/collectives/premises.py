"""Premises: what all process groups of a session have in common in this process: binding, slots, boxes, numbers."""

from typing import Any

import numpy as np

from nbgrad.group import Session
from nbgrad.shm.binding import Binding, current
from nbgrad.shm.layout import MEET, SLOTS

BOX_BYTES = 1 << 17  # of one half of a box, unless the arena is full
GROUP_BITS = 13  # groups per default group
BYTE = np.dtype("uint8")


class Premises:
    """Made once per session, and kept until its end: others may still look at a box when its group has ended here."""

    def __init__(self, session: Session):
        self.session = session
        self.binding = Binding(session.segment, session.layout, session.rank)
        self.boxes: dict[int, np.ndarray] = {}  # by slot
        self.letters: dict[tuple[int, int], np.ndarray] = {}  # by slot and receiver
        self.free = (1 << SLOTS) - 1
        self.n_inits = self.n_groups = (
            0  # default groups so far, last number: Note [Group numbers] of world.py
        )
        self.kept: list = []  # arrays that others may still write, of operations that failed

    @classmethod
    def of(cls, session: Session) -> "Premises":
        """Those of a session."""
        found: Any = session.attached.get("premises")
        if found is None:
            found = session.attached["premises"] = cls(session)
        return found

    def enter(self) -> None:
        """Let large arrays be born in the segment; RPC's binding, if there is one, stays the first choice."""
        if self.binding not in current:
            current.insert(0, self.binding)

    def leave(self) -> None:
        """The process groups of this session have ended here."""
        if self.binding in current:
            current.remove(self.binding)

    def box(self, slot: int) -> tuple[int, int]:
        """Address of the box of a slot, and bytes of a half; (0, 0) where the arena is full."""
        array = self.boxes.get(slot)
        if array is None:
            array = self.binding.empty((2 * BOX_BYTES,), BYTE)
            if array is None:
                return 0, 0
            array.fill(0)  # its pages are there from now on
            self.boxes[slot] = array
        return array.ctypes.data, BOX_BYTES

    def slots(self, number: int, members: tuple[int, ...]) -> list[int]:
        """Addresses of the members' slots."""
        session = self.session
        return [session.base + session.layout.slot(rank, number) for rank in members]

    def meets(self, members: tuple[int, ...]) -> list[int]:
        """Addresses of the members' MEET words."""
        session = self.session
        return [session.base + session.layout.worker(rank) + MEET for rank in members]
