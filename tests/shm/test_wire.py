"""post and take: what goes in comes out, by copy or in place, counted before it is seen."""

import numpy as np
import pytest

from nbgrad.shm import arena, words
from nbgrad.shm.binding import DTYPES, block_of
from nbgrad.shm.wire import BUSY, FULL, OUTSTANDING, SENT, TOO_LARGE, UNREADABLE
from tests.shm.place import bindings

HEADER = (7, 1, 2, 3, -4, 1 << 50, 6)


@pytest.fixture
def pair():
    with bindings() as found:
        yield found


def post(binding, *arrays, extra=None, row=0):
    return binding.post(1, row, *HEADER, arrays, extra)


def test_arrays_of_another_group_are_copied(pair):
    a, b = pair
    with bindings() as (other, _):
        x = other.empty((40, 40), np.dtype("f4"))
        x.fill(2)
        assert post(a, x) == SENT
        came = b.take(0)[8][0]
        assert came.flags.writeable
        np.testing.assert_array_equal(came, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_shape(pair, dtype):
    a, b = pair
    arrays = [np.ones(shape, dtype) for shape in [(), (0,), (1,), (2, 3), (1, 0, 4), (1,) * 16]]
    assert post(a, *arrays, extra=b"more") == SENT
    source, *header, got, extra = b.take(0)
    assert (source, tuple(header), extra) == (0, HEADER, b"more")
    for sent, came in zip(arrays, got):
        assert (came.dtype, came.shape) == (sent.dtype, sent.shape)
        np.testing.assert_array_equal(came, sent)
    assert b.take(0) is None


def test_small_arrays_are_copied_and_may_be_written(pair):
    a, b = pair
    x = np.arange(4.0)
    post(a, x)
    x[:] = 0
    came = b.take(0)[8][0]
    assert came.tolist() == [0, 1, 2, 3]
    came[0] = 9


def test_arrays_of_an_arena_arrive_in_place_and_read_only(pair):
    a, b = pair
    x = a.empty((100, 100), np.dtype("f8"))
    x.fill(3)
    block = block_of(x)
    post(a, x, x[1:])
    whole, part = b.take(0)[8]
    assert whole.ctypes.data == x.ctypes.data
    assert part.shape == (99, 100)
    assert not whole.flags.writeable
    assert arena.holders(block) == 3
    del whole, part
    assert arena.holders(block) == 1
    assert a.sent_to(1) == (1, 0, x.nbytes + x[1:].nbytes)


def test_a_pinned_block_is_copied(pair):
    a, b = pair
    x = a.empty((600,), np.dtype("f8"))
    arena.set_pinned(block_of(x), arena.IS_PINNED)
    post(a, x)
    assert b.take(0)[8][0].ctypes.data != x.ctypes.data


def test_a_given_block_belongs_to_the_receiver(pair):
    a, b = pair
    x = a.empty((600,), np.dtype("f8"))
    arena.set_pinned(block_of(x), arena.GIVEN)
    post(a, x)
    (came,) = b.take(0)[8]
    assert came.flags.writeable
    assert b.post(0, 0, *HEADER, (came,), None) == SENT
    assert not a.take(0)[8][0].flags.writeable  # sent on, it is a value like any other


def test_a_block_that_nobody_else_holds_is_taken_over(pair):
    a, b = pair
    x = a.empty((100, 8), np.dtype("f8"))
    x.fill(3)
    block = block_of(x)
    post(a, x)
    (came,) = b.take(0)[8]
    assert b.taken_over(came) is None  # the sender has it, too
    del x
    own = b.taken_over(came)
    del came
    assert (own.flags.writeable, own.shape, own.dtype) == (True, (100, 8), np.dtype("f8"))
    assert block_of(own) == block
    assert arena.holders(block) == 1
    assert arena.begin_write(block)
    arena.end_write(block)
    np.testing.assert_array_equal(own, 3)
    del own
    assert block_of(a.empty((100, 8), np.dtype("f8"))) == block


def test_a_part_of_a_block_is_not_taken_over(pair):
    a, b = pair
    x = a.empty((600,), np.dtype("f8"))
    post(a, x[8:])
    del x
    (came,) = b.take(0)[8]
    assert b.taken_over(came) is None
    assert b.taken_over(came[:]) is None
    assert b.taken_over(np.ones(600)) is None


def test_a_block_being_written_is_not_sent(pair):
    a, _ = pair
    x = a.empty((600,), np.dtype("f8"))
    assert arena.begin_write(block_of(x))
    assert post(a, x) == BUSY
    arena.end_write(block_of(x))
    assert post(a, x) == SENT


def test_what_does_not_travel_is_refused_and_changes_nothing(pair):
    a, b = pair
    for bad in (np.ones((2, 3)).T, np.ones(3, ">f8"), np.array([None])):
        assert post(a, bad) == UNREADABLE
    assert post(a, np.ones(5000)) == TOO_LARGE
    assert b.take(0) is None


def test_a_full_ring_changes_nothing(pair):
    a, b = pair
    row = a.worker(0) + 2048  # some zeroed words
    n = 0
    while post(a, np.ones(4), row=row) == SENT:
        n += 1
    assert words.load(row + OUTSTANDING) == n
    x = a.empty((600,), np.dtype("f8"))
    assert post(a, x, row=row) == FULL
    assert arena.holders(block_of(x)) == 1
    assert words.load(row + OUTSTANDING) == n
    assert sum(1 for _ in iter(lambda: b.take(0), None)) == n


def test_messages_of_one_sender_keep_their_order_over_many_wraps(pair):
    a, b = pair
    came = []
    for k in range(3000):
        while a.post(1, 0, k, 0, 0, 0, 0, 0, 0, (np.ones(k % 50),), None) == FULL:
            came.append(b.take(0)[1])
    came += [message[1] for message in iter(lambda: b.take(0), None)]
    assert came == list(range(3000))
