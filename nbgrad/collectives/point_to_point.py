"""send and recv: a tensor from one member to another.

A small tensor is copied into the letter, and `send` returns; a large one is read where it lies, or from a copy in the arena, and
`send` returns when it was received.  Letters of a pair arrive in the order in which they were sent.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbgrad.collectives import letters
from nbgrad.collectives.arguments import Arguments, member
from nbgrad.collectives.block import address_of
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.process_group import FIRST_SLICE_NS, IDLE_S, LAST_SLICE_NS, ProcessGroup
from nbgrad.collectives.reducers import CODES, DTYPES
from nbgrad.errors import (
    CollectiveTimeout,
    DesyncError,
    ProcessGroupError,
    SharedMemoryFull,
)

__all__ = ["P2POp", "batch_isend_irecv", "irecv", "isend", "recv", "send"]

CODE, SIZE, TAG, PLACE, N_WORDS = range(
    5
)  # words of a letter: dtype, elements, tag, offset of the data (0: it follows)
SMALL_BYTES = 1 << 14
bound: list = []  # the native call, once it is needed


def go(*arguments: int) -> int:
    """`letters.go`, bound once."""
    if not bound:
        bound.append(letters.go.bind())
    return bound[0](*arguments)


def wait_for(pg: ProcessGroup, what: int, peer: int, text: str) -> int:
    """Wait for a member's letter, or until it has taken the last one; the member."""
    begun, patience, g = time.monotonic(), FIRST_SLICE_NS, pg.block.address
    while not (found := go(g, what, peer, patience)):
        waited = time.monotonic() - begun
        pg.session.check(text)
        pg.check()
        for p in range(pg.size()) if peer == letters.ANY else [peer]:
            if peer != letters.ANY:
                pg.refuse_absent(p, text, lambda p=p: not letters.ready(g, what, p))  # type: ignore[misc]
        if waited > pg.timeout_s:
            raise pg.timeout(
                f"rank {pg.members[pg.me]} has waited {waited:.3g} s in {text} of the process group {pg.name!r}: does the "
                f"other one call the counterpart?"
            )
        if waited > IDLE_S:
            patience = min(2 * patience, LAST_SLICE_NS)
    return found - 1


def letter_to(pg: ProcessGroup, target: int) -> np.ndarray:
    """This member's letter to another, kept with the session: the other may read it when this group has ended here."""
    boxes, key = pg.premises.letters, (pg.slot, target)
    if key not in boxes:
        made = pg.premises.binding.empty((8 * N_WORDS + SMALL_BYTES,), np.dtype("uint8"))
        if made is None:
            raise SharedMemoryFull(
                f"no shared memory is left for a letter from rank {pg.members[pg.me]} to rank {pg.members[target]}"
            )
        boxes[key] = made
    return boxes[key]


def send_array(pg: ProcessGroup, array: np.ndarray, target: int, tag: int) -> None:
    """Send a C-contiguous array."""
    text = f"send of {array.dtype}, shape {array.shape}, to rank {pg.members[target]}"
    with pg.sending:
        pg.check()
        wait_for(pg, letters.FREE, target, text)
        letter = letter_to(pg, target)
        words = letter[: 8 * N_WORDS].view(np.int64)
        words[CODE], words[SIZE], words[TAG] = CODES[array.dtype], array.size, tag
        words[PLACE] = 0
        if array.nbytes <= SMALL_BYTES:
            letter[8 * N_WORDS :][: array.nbytes] = array.reshape(-1).view(np.uint8)
            letters.post(pg.block.address, target, address_of(letter))
            return
        if not pg.premises.binding.block_of(array):
            copy = pg.premises.binding.empty(array.shape, array.dtype)
            if copy is None:
                raise SharedMemoryFull(f"no shared memory is left for a {text}")
            np.copyto(copy, array)
            array = copy
        words[PLACE] = address_of(array) - pg.session.base
        letters.post(pg.block.address, target, address_of(letter))
        try:
            wait_for(pg, letters.FREE, target, text)
        except BaseException as error:
            pg.give_up(error, array)
            raise


def receive_array(pg: ProcessGroup, array: np.ndarray, source: int, tag: int) -> int:
    """Receive into a C-contiguous array; the sender."""
    text = f"recv of {array.dtype}, shape {array.shape}, from "
    text += "anybody" if source == letters.ANY else f"rank {pg.members[source]}"
    with pg.receiving:
        pg.check()
        source = wait_for(pg, letters.COMING, source, text)
        g = pg.block.address
        letter = letters.letter_from(g, source)
        words = np.ctypeslib.as_array((ctypes.c_int64 * N_WORDS).from_address(letter))
        code, size, sent_tag, place = (int(word) for word in words[:N_WORDS])
        fits = code == CODES[array.dtype] and size == array.size and sent_tag == tag
        if fits:
            data = pg.session.base + place if place else letter + 8 * N_WORDS
            ctypes.memmove(address_of(array), data, array.nbytes)
        letters.take(g, source)
    if not fits:
        raise DesyncError(
            f"rank {pg.members[pg.me]} wants to receive {array.size} elements of {array.dtype} with tag {tag} from rank "
            f"{pg.members[source]}, which has sent {size} of {DTYPES[code]} with tag {sent_tag}"
        )
    return source


def send(
    tensor: Any,
    dst: int | None = None,
    group: Any = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Send a tensor to one member.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Only read.
    dst : int
        Rank, in the default group, of the receiver.
    tag : int
        Must be the receiver's.
    group_dst : int, optional
        Its rank in `group`, instead of `dst`.

    Raises
    ------
    ProcessGroupError
        If `dst` is no member, or this process itself.
    CollectiveTimeout, WorkerDied
        If a large tensor, or the one sent before, is not received in time, or a worker has died.
    """
    pg = chosen_group(group)
    if pg is None:
        return
    target = other(pg, member(pg, dst, group_dst, "dst"), "dst")
    with Arguments("send") as a:
        send_array(pg, a.reading(tensor), target, tag)


def recv(
    tensor: Any,
    src: int | None = None,
    group: Any = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Receive a tensor from one member.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Written in place; of the dtype and number of elements that are sent.
    src : int, optional
        Rank, in the default group, of the sender; anybody by default.
    tag : int
        Must be the sender's.
    group_src : int, optional
        Its rank in `group`, instead of `src`.

    Returns
    -------
    int
        Rank, in the default group, of the sender; -1 in a process that is no member.

    Raises
    ------
    DesyncError
        If something else was sent.
    CollectiveTimeout, WorkerDied, ProcessGroupError
        If nothing comes in time, a worker has died, or `src` is no member.
    """
    pg = chosen_group(group)
    if pg is None:
        return -1
    source = letters.ANY
    if src is not None or group_src is not None:
        source = other(pg, member(pg, src, group_src, "src"), "src")
    with Arguments("recv") as a:
        source = receive_array(pg, a.writing(tensor), source, tag)
        a.ends.run(True)
    return pg.members[source]


def other(pg: ProcessGroup, peer: int, name: str) -> int:
    """The member, which must not be this one."""
    if peer == pg.me:
        raise ProcessGroupError(
            f"{name} is rank {pg.members[peer]}, which is this process: nothing can be sent to oneself"
        )
    return peer


class Transfer:
    """An `isend` or `irecv` under way, in a thread of its own."""

    def __init__(self, function: Callable[[], Any]):
        self.error: BaseException | None = None
        self.value: Any = None
        self.thread = threading.Thread(target=self.run, args=(function,), daemon=True)
        self.thread.start()

    def run(self, function: Callable[[], Any]) -> None:
        """What the thread does."""
        try:
            self.value = function()
        except BaseException as error:
            self.error = error

    def wait(self, timeout: Any = None) -> bool:
        """True when it is complete; what went wrong is raised here."""
        self.thread.join(timeout.total_seconds() if hasattr(timeout, "total_seconds") else timeout)
        if self.thread.is_alive():
            raise CollectiveTimeout("a send or recv is not complete in the time given to wait()")
        if self.error is not None:
            raise self.error
        return True

    def is_completed(self) -> bool:
        """Whether it is over, well or not."""
        return not self.thread.is_alive()

    def source_rank(self) -> int:
        """Who sent what `irecv` got."""
        self.wait()
        return self.value


def isend(
    tensor: Any,
    dst: int | None = None,
    group: Any = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> Transfer:
    """As `send`, while its caller goes on; several to one member may overtake each other."""
    return Transfer(lambda: send(tensor, dst, group, tag, group_dst))


def irecv(
    tensor: Any,
    src: int | None = None,
    group: Any = None,
    tag: int = 0,
    group_src: int | None = None,
) -> Transfer:
    """As `recv`, while its caller goes on; several from one member may overtake each other."""
    return Transfer(lambda: recv(tensor, src, group, tag, group_src))


class P2POp:
    """One `isend` or `irecv` of a batch.

    Parameters
    ----------
    op : function
        `isend` or `irecv`.
    tensor, peer, group, tag
        Its arguments.
    """

    def __init__(
        self,
        op: Callable,
        tensor: Any,
        peer: int | None = None,
        group: Any = None,
        tag: int = 0,
        group_peer: int | None = None,
    ):
        if op not in (isend, irecv):
            raise ProcessGroupError(f"P2POp takes isend or irecv, not {op!r}")
        self.op, self.tensor, self.peer, self.group = op, tensor, peer, group
        self.tag, self.group_peer = tag, group_peer


def batch_isend_irecv(p2p_op_list: Sequence[P2POp]) -> list[Transfer]:
    """Start all of them; sends in their order, and receives in theirs."""
    sends = [o for o in p2p_op_list if o.op is isend]
    receives = [o for o in p2p_op_list if o.op is irecv]

    def run(ops: list, function: Callable) -> None:
        for o in ops:
            function(o.tensor, o.peer, o.group, o.tag, o.group_peer)

    both = ((sends, send), (receives, recv))
    return [Transfer(lambda ops=ops, f=f: run(ops, f)) for ops, f in both if ops]  # type: ignore[misc]
