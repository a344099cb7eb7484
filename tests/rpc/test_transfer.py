"""Transfers: taken apart and put together, numbered without two threads getting one number."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from nbgrad import rpc
from nbgrad.errors import ProtocolError
from nbgrad.rpc import state
from nbgrad.rpc.message import CHUNK
from nbgrad.rpc.transfer import Transfers

AGENT = SimpleNamespace(rank=0, session=SimpleNamespace(names=["a", "b", "c"]))


def chunk(source, number, place, pieces):
    return (source, CHUNK, number, place, len(pieces), 0, 0, 0, (), pieces[place])


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000, 1 << 20])
def test_a_transfer_arrives_whole(piece_bytes):
    ours, theirs = Transfers(AGENT), Transfers(AGENT)
    arrays = (np.arange(10.0), np.zeros((0, 3), np.int32), np.array(5, np.uint8))
    number, pieces = ours.split(arrays, b"the rest", piece_bytes)
    assert all(len(piece) <= piece_bytes for piece in pieces)
    for place in range(len(pieces)):
        theirs.add(chunk(2, number, place, pieces))
    found, extra = theirs.finish(2, number)
    assert extra == b"the rest"
    for array, other in zip(arrays, found, strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_array_equal(array, other)
    assert not theirs.pieces


def test_transfers_of_several_senders_do_not_mix():
    ours, theirs = Transfers(AGENT), Transfers(AGENT)
    sent = {}
    for source, text in [(0, b"a" * 10), (1, b"b" * 10), (0, b"c" * 10)]:
        number, pieces = ours.split((), text, 4)
        sent[source, number] = text, pieces
    longest = max(len(pieces) for _, pieces in sent.values())
    for k in range(longest):
        for (source, number), (_, pieces) in sent.items():
            if k < len(pieces):
                theirs.add(chunk(source, number, k, pieces))
    for (source, number), (text, _) in sent.items():
        assert theirs.finish(source, number) == ((), text)


TEXT = [b"one", b"two", b"three"]
WRONG = {  # places of the pieces that come, then what is told of them
    "none": ((), "message itself has come after none of its pieces"),
    "too few": ((0, 1), "message itself has come after 2 of its 3 pieces"),
    "the first is missing": ((1,), "piece 1 of 3 has come where piece 0 of 3 was to come"),
    "one is missing": ((0, 2), "piece 2 of 3 has come where piece 1 of 3 was to come"),
    "one comes twice": ((0, 0), "piece 0 of 3 has come where piece 1 of 3 was to come"),
    "one too many": ((0, 1, 2, 3), "piece 3 of 3 has come where piece 3 of 3 was to come"),
    "damaged": ((0, 1, 2), "they can't be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_pieces_that_no_worker_sends_so_are_named(case):
    """(!) A missing piece was a KeyError in whichever thread happened to wait."""
    places, told = WRONG[case]
    theirs = Transfers(AGENT)
    with pytest.raises(
        ProtocolError, match=f"'b' has sent worker 0 the message of transfer 5 .*{told}"
    ):
        receive(theirs, places)


def receive(transfers, places):
    for place in places:
        transfers.add((1, CHUNK, 5, place, 3, 0, 0, 0, (), TEXT[place % 3]))
    transfers.finish(1, 5)


def test_a_number_of_pieces_that_changes_is_named():
    theirs = Transfers(AGENT)
    theirs.add((1, CHUNK, 5, 0, 3, 0, 0, 0, (), b"x"))
    with pytest.raises(ProtocolError, match="piece 1 of 4 has come where piece 1 of 3"):
        theirs.add((1, CHUNK, 5, 1, 4, 0, 0, 0, (), b"x"))


def interrupted_transfer():
    """Ctrl-C after the second piece: what the receiver then keeps of the transfer, and a call later."""
    agent, n_posts = state.agent(), 0
    native_post = agent.native_post

    def post(target, row, kind, *rest):
        nonlocal n_posts
        n_posts += kind == CHUNK
        if n_posts == 3:
            n_posts += 1
            raise KeyboardInterrupt
        return native_post(target, row, kind, *rest)

    agent.native_post = post
    try:
        with pytest.raises(KeyboardInterrupt):
            rpc.rpc_sync(1, len, (bytes(300_000),))
    finally:
        agent.native_post = native_post
    return rpc.rpc_sync(1, n_transfers), rpc.rpc_sync(1, len, (bytes(300_000),))


def n_transfers():
    return len(state.agent().transfers.pieces)


def test_an_interrupted_transfer_leaves_nothing(group2):
    assert group2.call(interrupted_transfer) == (0, 300_000)


def test_threads_never_get_the_same_number():
    transfers, numbers = Transfers(AGENT), []

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
