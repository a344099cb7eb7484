"""Operations as words: what stands in a record is what a person reads."""

import numpy as np
import pytest

from nbgrad.collectives import operation
from nbgrad.collectives.operation import Ends, Kind, describe, what_of
from nbgrad.collectives.reducers import CODES, ReduceOp
from nbgrad.collectives.rounds import ALL, FUSED, MAX_ND, ND_SHIFT, NOTHING, ONE, REDUCE

X = np.ones((3, 4), np.float32)


def text(o, members=(0, 1, 2)):
    return describe(o.what | len(o.shape) << ND_SHIFT, [*o.shape, 99], members)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (operation.barrier(), "barrier"),
        (operation.all_reduce(X, ReduceOp.MAX), "all_reduce(MAX) of float32, shape (3, 4)"),
        (operation.broadcast(X, 1, 0), "broadcast(src=7) of float32, shape (3, 4)"),
        (operation.reduce(X, ReduceOp.SUM, 0, 0), "reduce(SUM, dst=5) of float32, shape (3, 4)"),
        (operation.gather(None, X.astype(int), 2), "gather(dst=9) of int64, shape (3, 4)"),
        (operation.all_to_all([X], [X], 48), "all_to_all of float32, shape ()"),
    ],
)
def test_records_are_read_back(made, wanted):
    assert text(made, (5, 7, 9)) == wanted


def test_nothing_yet():
    assert describe(0, [], [0]) == "nothing yet"


def test_words_differ_where_anything_does():
    f4, i8 = CODES[np.dtype("f4")], CODES[np.dtype("i8")]
    found = {
        what_of(kind, op, root, code)
        for kind in Kind
        for op in ReduceOp
        for root in range(-1, 31)
        for code in (f4, i8)
    }
    assert len(found) == len(Kind) * len(ReduceOp) * 32 * 2
    assert max(found) < 1 << ND_SHIFT


def test_who_shows_and_who_takes():
    root, other = operation.broadcast(X, 1, 1), operation.broadcast(X, 1, 0)
    assert (len(root.ins), root.move, len(other.ins), other.move) == (1, NOTHING, 0, ONE)
    to, away = operation.reduce(X, ReduceOp.SUM, 1, 1), operation.reduce(X, ReduceOp.SUM, 1, 0)
    assert (len(to.outs), len(away.outs), to.move) == (1, 0, FUSED)
    assert operation.gather(None, X, 0).move == NOTHING
    assert operation.gather([X, X], X, 0).move == ALL
    o = operation.reduce_scatter(X, [X, X], ReduceOp.SUM)
    assert (o.pieces, o.piece, o.move) == (2, X.nbytes, REDUCE)
    assert len(operation.broadcast(np.ones((1,) * 20), 0, 0).shape) == MAX_ND


def test_ends_run_once_and_the_good_ones_only_if_all_is_well():
    done = []
    for is_well in (True, False):
        ends = Ends()
        ends.well.append(lambda: done.append("well"))
        ends.always.append(lambda: done.append("always"))
        ends.run(is_well)
        ends.run(True)
    assert done == ["well", "always", "always"]
