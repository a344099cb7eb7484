"""Faults: what a worker says that has found in shared memory what the protocol never writes (Note [Faults] of shm/record.py).

Such a worker gives up: the text is raised in it by whatever it does next, and the others are told that it is gone.
"""

from typing import Any

from nbgrad.errors import ProtocolError
from nbgrad.rpc.message import H0, H1, H2, H3, H4, H5, KIND, SOURCE
from nbgrad.shm import record
from nbgrad.shm.layout import Layout

WHAT = {
    record.BAD_LENGTH: "its length fits no message",
    record.BAD_COUNTS: "its parts do not add up to its length",
    record.BAD_FORM: "its array {number} is neither inline nor in a block",
    record.BAD_DTYPE: "its array {number} has a dtype code that there is not",
    record.BAD_DIMS: "its array {number} has impossible dimensions",
    record.BAD_PLACE: "its array {number} lies outside of its block, or of the segment",
    record.STALE: "its array {number} names generation {named} of its block, which is at {found}: the block was given back "
    "and holds another array by now",
}
WHY = (
    "Either something has written over the group's shared memory (native code in this group's processes), or this is a bug of "
    "nbgrad. This worker takes no part any more: start the group again from its last checkpoint."
)


def of_message(message: tuple, names: list[str], rank: int) -> ProtocolError:
    """For a message of kind BROKEN, or of a kind that there is not."""
    if message[KIND] != record.BROKEN:
        return ProtocolError(
            f"worker {names[message[SOURCE]]!r} has sent worker {names[rank]!r} a message of kind {message[KIND]}, and there is "
            f"no such kind. {WHY}"
        )
    what = WHAT[message[H0]].format(number=message[H1], named=message[H2], found=message[H3])
    return ProtocolError(
        f"the ring from worker {names[message[SOURCE]]!r} to worker {names[rank]!r} holds a message that no worker writes: "
        f"{what} (message of {message[H5]} bytes at {message[H4]} of the ring). {WHY}"
    )


def of_transfer(source: str, rank: int, number: int, what: str) -> ProtocolError:
    """For a message in pieces (transfer.py)."""
    return ProtocolError(
        f"worker {source!r} has sent worker {rank} the message of transfer {number} in pieces, and {what}. {WHY}"
    )


def of_block(fault: tuple[int, ...], layout: Layout, names: list[str]) -> ProtocolError:
    """For what `Binding.fault` tells."""
    what, offset, held, found, holders = fault
    owner, place = divmod(offset - layout.arenas, layout.arena_bytes)
    did = "gave it back" if what == record.GIVEN_BACK else "was to be sent"
    name = names[owner] if 0 <= owner < len(names) else "nobody"
    return ProtocolError(
        f"an array in the block at {place} of the arena of worker {name!r} {did}, but nothing holds the block for it: the array "
        f"had generation {held}, the block is at generation {found} with {holders} holders. {WHY}"
    )


def raised(error: BaseException) -> Any:
    """A function that raises `error`, whatever it is called with."""

    def refuse(*arguments: Any) -> Any:
        raise error

    return refuse
