"""Transfers: taken apart and put together, numbered without two threads getting one number."""

import sys
import threading

import numpy as np
import pytest

from nbgrad.rpc.message import CHUNK
from nbgrad.rpc.transfer import Transfers


def chunk(source, number, piece):
    return (source, CHUNK, number, 0, 0, 0, 0, 0, (), piece)


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000, 1 << 20])
def test_a_transfer_arrives_whole(piece_bytes):
    ours, theirs = Transfers(), Transfers()
    arrays = (np.arange(10.0), np.zeros((0, 3), np.int32), np.array(5, np.uint8))
    number, pieces = ours.split(arrays, b"the rest", piece_bytes)
    assert all(len(piece) <= piece_bytes for piece in pieces)
    for piece in pieces:
        theirs.add(chunk(3, number, piece))
    found, extra = theirs.finish(3, number)
    assert extra == b"the rest"
    for array, other in zip(arrays, found, strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_array_equal(array, other)
    assert not theirs.pieces


def test_transfers_of_several_senders_do_not_mix():
    ours, theirs = Transfers(), Transfers()
    sent = {}
    for source, text in [(0, b"a" * 10), (1, b"b" * 10), (0, b"c" * 10)]:
        number, pieces = ours.split((), text, 4)
        sent[source, number] = text, pieces
    longest = max(len(pieces) for _, pieces in sent.values())
    for k in range(longest):
        for (source, number), (_, pieces) in sent.items():
            if k < len(pieces):
                theirs.add(chunk(source, number, pieces[k]))
    for (source, number), (text, _) in sent.items():
        assert theirs.finish(source, number) == ((), text)


def test_threads_never_get_the_same_number():
    transfers, numbers = Transfers(), []

    def split():
        for _ in range(300):
            numbers.append(transfers.split((), b"x" * 1000, 1000)[0])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=split) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(set(numbers)) == len(numbers) == 2400
