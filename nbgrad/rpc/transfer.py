"""Transfers: messages too large for a ring, sent ahead in chunks and put together at the other end.

    CHUNK  h0 number of the transfer, h1 place of the piece, h2 how many there are (0: the transfer is given up),
           h3 the call that it belongs to, or 0

Only what can't go by descriptor comes this way: long pickles, and arrays when the arena is full.  A ring keeps its order, so
a piece out of turn, or a message before its last piece, is something that no worker writes.
"""

import contextlib
import itertools
from typing import Any

import numpy as np

from nbgrad.errors import MessageTooLarge, RpcError
from nbgrad.rpc import fault, plain, plain_read
from nbgrad.rpc.message import CALL, CHUNK, EXTRA, H0, H1, H2, SOURCE
from nbgrad.shm import arena
from nbgrad.shm.binding import block_of

STAGE_BYTES = 1 << 12


class Transfers:
    """The large messages of one agent, both ways."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.pieces: dict = {}  # (sender, number) -> pieces that have arrived, and how many there will be
        self.given_up: list = []  # (target, number) of transfers whose receiver could not be told yet
        # One call, so two threads never get the same.
        self.next_number = itertools.count(1).__next__

    # ------------------------------------------------------------ sender

    def fit(
        self, target: int, kind: int, h0: int, arrays: tuple, extra: bytes | None
    ) -> tuple | None:
        """Make a message fit: arrays into the arena, the rest ahead in chunks; its arrays, extra and kind.

        None if nobody waits for it any more.

        Raises
        ------
        MessageTooLarge
            If its arrays are too many even so.
        """
        staged = tuple([self.stage(a) for a in arrays])
        travels = self.agent.binding.travels
        inline = sum(a.nbytes for a in staged if not travels(a))
        limit = self.agent.session.layout.ring_capacity // 8
        if inline + len(extra or b"") + 200 * len(arrays) <= limit * 3:
            return staged, extra, kind
        if kind >> 8:
            raise MessageTooLarge(
                f"a message with {len(arrays)} arrays does not fit into a ring: send fewer at a time"
            )
        call = h0 if kind == CALL else 0
        number, pieces = self.split(staged, extra, limit)
        given_up, self.given_up = self.given_up, []
        for receiver, abandoned in given_up:
            self.give_up(receiver, abandoned, call)
        try:
            for place, piece in enumerate(pieces):
                if not self.post(target, number, place, len(pieces), call, piece):
                    self.given_up.append((target, number))
                    return None
        except BaseException:  # Ctrl-C, or a death: the message itself will not come
            with contextlib.suppress(Exception):
                self.give_up(target, number, call)
            raise
        return (), None, kind | number << 8

    def give_up(self, target: int, number: int, call: int) -> None:
        """Tell the receiver of a transfer that the rest will not come; later, if there is no room and the call has failed."""
        if not self.post(target, number, 0, 0, call, None):
            self.given_up.append((target, number))

    def post(
        self, target: int, number: int, place: int, n_pieces: int, call: int, piece: Any
    ) -> bool:
        return self.agent.post(target, 0, CHUNK, number, place, n_pieces, call, 0, 0, (), piece)

    def stage(self, array: np.ndarray) -> np.ndarray:
        """A copy in the arena that the receiver gets for itself; the array itself where the arena is full."""
        binding = self.agent.binding
        if array.nbytes < STAGE_BYTES or binding.travels(array):
            return array
        copy = binding.empty(array.shape, array.dtype)
        if copy is None:
            return array
        np.copyto(copy, array)
        arena.set_pinned(block_of(copy), arena.GIVEN)
        return copy

    def split(
        self, arrays: tuple, extra: bytes | None, piece_bytes: int
    ) -> tuple[int, list[bytes]]:
        """A number for the transfer, and its pieces."""
        whole = plain.dumps((arrays, extra))
        return self.next_number(), [
            whole[k : k + piece_bytes] for k in range(0, len(whole), piece_bytes)
        ]

    # ------------------------------------------------------------ receiver

    def add(self, message: tuple) -> None:
        """A CHUNK message has come.

        Raises
        ------
        ProtocolError
            If it is not the next piece.
        """
        source, number, place, n_pieces = message[SOURCE], message[H0], message[H1], message[H2]
        if n_pieces == 0:
            self.pieces.pop((source, number), None)
            return
        found, expected = self.pieces.setdefault((source, number), ([], n_pieces))
        if n_pieces != expected or not place == len(found) < n_pieces or message[EXTRA] is None:
            raise self.broken(
                source,
                number,
                f"piece {place} of {n_pieces} has come where piece {len(found)} of {expected} was to come",
            )
        found.append(message[EXTRA])

    def finish(self, source: int, number: int) -> Any:
        """(arrays, extra) of a complete transfer.

        Raises
        ------
        ProtocolError
            If it is not complete, or its bytes are damaged.
        """
        found, expected = self.pieces.pop((source, number), ((), 0))
        if not found or len(found) != expected:
            count = f"{len(found)} of its {expected}" if found else "none of its"
            raise self.broken(source, number, f"the message itself has come after {count} pieces")
        try:
            arrays, extra = plain_read.loads(b"".join(found))
        except (RpcError, ValueError, TypeError) as error:
            raise self.broken(source, number, f"they can't be read: {error}") from error
        return arrays, extra

    def broken(self, source: int, number: int, what: str) -> Exception:
        agent = self.agent
        return fault.of_transfer(agent.session.names[source], agent.rank, number, what)
