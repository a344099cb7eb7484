"""Content: the values in a message that has arrived, tensors among them."""

from typing import Any

from nbgrad.rpc import codec
from nbgrad.rpc.message import ARRAYS, EXTRA, H1, H2, H4, H5, ONE_TENSOR, SOURCE
from nbgrad.shm import arena
from nbgrad.shm.binding import block_of


def unpickle(agent: Any, message: tuple) -> Any:
    """The pickled content of a message; `h5` of its arrays belong to tensors, the rest are plain."""
    n_tensors, arrays = message[H5], message[ARRAYS]
    try:
        tensors = agent.joint.incoming(
            message[SOURCE], message[H1], message[H2], message[H4], arrays[:n_tensors]
        )
    except Exception:  # its context has just been released
        discard(message)
        raise
    plain = list(arrays[n_tensors:])
    for array in plain:
        if array.flags.writeable and (block := block_of(array)):
            # The user may write it unseen, so it is copied when it is sent on (! who gets it would see that).
            arena.set_pinned(block, arena.IS_PINNED)
    return codec.decode(message[EXTRA], tensors, plain)


def discard(message: tuple) -> None:
    """Nobody wants this message any more: give back what is counted in it."""
    codec.discard(message[EXTRA], message[H5], len(message[ARRAYS]) - message[H5])


def decode(agent: Any, message: tuple, flags: int) -> Any:
    """The value of a REPLY."""
    if flags == ONE_TENSOR:
        return agent.joint.incoming(
            message[SOURCE], message[H1], message[H2], message[H4], message[ARRAYS]
        )[0]
    return unpickle(agent, message)
