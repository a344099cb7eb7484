"""Arguments: what callers give, made into arrays; and that a failed call leaves nothing locked."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.collectives.arguments import Arguments, member, reduce_op
from nbgrad.collectives.reducers import ReduceOp
from nbgrad.errors import DtypeError, ProcessGroupError, ShapeError
from nbgrad.shm import arena
from nbgrad.shm.binding import block_of, current
from tests.shm.place import bindings


@pytest.fixture
def in_arena():
    with bindings(1) as (binding,):
        current.append(binding)
        yield
        current.remove(binding)


def test_contiguous_arrays_are_taken_as_they_are():
    a, x = Arguments("a test"), nb.ones(3, 4)
    assert a.reading(x) is x.array
    assert a.writing(x) is x.array
    array = np.ones(3)
    assert a.writing(array) is array
    assert a.reading(nb.tensor(2.0)).shape == ()


def test_others_are_copied_and_written_back_if_all_is_well():
    for is_well, wanted in ((True, 7), (False, 1)):
        a, x = Arguments("a test"), nb.ones(3, 4)
        column = a.writing(x[:, 1])
        assert column.flags.c_contiguous
        column[:] = 7
        a.ends.run(is_well)
        assert x.array[:, 1].tolist() == [wanted] * 3
        assert x.array[:, 0].tolist() == [1] * 3


def test_nobody_takes_a_snapshot_while_a_tensor_is_written(in_arena):
    x = nb.ones(50_000)
    block = block_of(x.array)
    with pytest.raises(ZeroDivisionError), Arguments("a test") as a:  # noqa: PT012
        parts = a.list_writing(list(x.reshape(2, -1)), x.array[:25_000], 2, "parts")
        assert all(np.shares_memory(part, x.array) for part in parts)
        assert arena.hold(block, arena.generation(block)) == 0
        raise ZeroDivisionError
    assert arena.hold(block, arena.generation(block)) == 1
    arena.release(block, arena.generation(block))


def test_what_is_no_tensor_is_refused():
    a, read_only = Arguments("a test"), np.ones(3)
    read_only.flags.writeable = False
    for x in ([1.0], 3.0, nb.ones(2).to_sparse(), np.ones(2, complex)):
        with pytest.raises(DtypeError, match="a test"):
            a.reading(x)
    with pytest.raises(DtypeError, match="read-only"):
        a.writing(read_only)


def test_lists_and_pieces():
    a, like = Arguments("a test"), np.ones((2, 3))
    assert len(a.list_reading([like, like], like, 2, "xs")) == 2
    for xs, text in (([like], "got 1 entries"), (3, "got int"), ([like, np.ones(6)], r"xs\[1\]")):
        with pytest.raises(ShapeError, match=text):
            a.list_reading(xs, like, 2, "xs")
    assert [p.size for p in a.pieces(np.ones((4, 3)), like, 2, "x")] == [6, 6]
    with pytest.raises(ShapeError, match="does not hold 2"):
        a.pieces(np.ones(11), like, 2, "x")
    rows = np.arange(10.0).reshape(5, 2)
    assert [p.tolist() for p in a.split(rows, [0, 5], 2, "x")] == [[], rows.tolist()]
    assert [len(p) for p in a.split(rows[:4], None, 2, "x")] == [2, 2]


def test_members_and_operations():
    class Group:
        members, name = (3, 5), "some"

        def size(self):
            return 2

    assert member(Group(), 5, None, "src") == member(Group(), None, 1, "src") == 1
    for rank, group_rank, text in (
        (4, None, "rank 4"),
        (None, 2, "group_src is 2"),
        (3, 0, "not both"),
        (None, None, "say which"),
    ):
        with pytest.raises(ProcessGroupError, match=text):
            member(Group(), rank, group_rank, "src")
    assert reduce_op(ReduceOp.MIN, "a test") is ReduceOp.MIN
    with pytest.raises(DtypeError, match="op is 3"):
        reduce_op(3, "a test")
