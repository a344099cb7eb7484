"""Transfers: messages too large for a ring, sent ahead in chunks and put together at the other end.

Only what can't go by descriptor comes this way: long pickles, and arrays when the arena is full.
"""

import itertools
from typing import Any

from nbgrad.rpc import plain, plain_read
from nbgrad.rpc.message import EXTRA, H0, SOURCE


class Transfers:
    """Pieces that have arrived, per sender and number."""

    def __init__(self) -> None:
        self.pieces: dict = {}
        self.next_number = itertools.count(
            1
        ).__next__  # one call, so two threads never get the same

    def split(
        self, arrays: tuple, extra: bytes | None, piece_bytes: int
    ) -> tuple[int, list[bytes]]:
        """A number for the transfer, and its pieces."""
        whole = plain.dumps((arrays, extra))
        return self.next_number(), [
            whole[k : k + piece_bytes] for k in range(0, len(whole), piece_bytes)
        ]

    def add(self, message: tuple) -> None:
        """A CHUNK message has come."""
        self.pieces.setdefault((message[SOURCE], message[H0]), []).append(message[EXTRA])

    def finish(self, source: int, number: int) -> Any:
        """(arrays, extra) of a complete transfer."""
        return plain_read.loads(b"".join(self.pieces.pop((source, number))))
