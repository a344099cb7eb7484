"""Ring: records of all sizes through all positions; real producer and consumer processes."""

import numpy as np
import pytest

from nbgrad.shm import ring
from nbgrad.shm.segment import Segment
from tests.conftest import processes
from tests.shm.place import unique

N_HAMMER = 20_000
N_KILLS = 10


@pytest.fixture
def place():
    memory = np.zeros(4096, np.int64)
    yield memory.ctypes.data
    del memory


def words_at(array):
    return array.ctypes.data


@pytest.mark.parametrize("capacity", [64, 128, 1024])
def test_all_sizes_through_all_positions(place, capacity):
    ring.init(place, capacity)
    source, target = np.zeros(64, np.int64), np.zeros(64, np.int64)
    sent = came = 0
    for k in range(500):
        n_words = k % (capacity // 16 - 1) + 1
        source[:n_words] = k
        while not ring.push(place, words_at(source), 8 * n_words):
            n_bytes = ring.pop(place, words_at(target))
            assert n_bytes == 8 * (came % (capacity // 16 - 1) + 1)
            assert set(target[: n_bytes // 8]) == {came}
            came += 1
        sent += 1
    while ring.pop(place, words_at(target)) >= 0:
        came += 1
    assert came == sent


def test_an_empty_ring_says_so(place):
    ring.init(place, 256)
    assert ring.front(place) == 0
    assert ring.pop(place, place) == -1
    assert not ring.is_unread(place)


def test_nothing_is_visible_before_publish(place):
    ring.init(place, 256)
    record = ring.claim(place, 16)
    assert record
    assert ring.front(place) == 0
    ring.publish(place, record)
    assert ring.front(place) == record
    assert ring.is_unread(place)


def test_half_of_the_ring_always_fits_into_an_empty_one(place):
    ring.init(place, 128)
    buffer = np.zeros(16, np.int64)
    for _ in range(50):  # whatever the position
        assert ring.push(place, words_at(buffer), 56)
        assert ring.pop(place, words_at(buffer)) == 56
        assert ring.push(place, words_at(buffer), 8)
        assert ring.pop(place, words_at(buffer)) == 8


def hammer(rank, world):
    """Rank 0 produces numbers, rank 1 checks that each comes once, whole and in order."""
    segment = Segment.attach(unique("test-ring"))
    data = np.zeros(8, np.int64)
    try:
        if rank == 0:
            for k in range(N_HAMMER):
                data[:] = k
                while not ring.push(segment.address, data.ctypes.data, 8 * (k % 7 + 1)):
                    pass
            return N_HAMMER
        k = 0
        while k < N_HAMMER:
            n_bytes = ring.pop(segment.address, data.ctypes.data)
            if n_bytes >= 0:
                assert n_bytes == 8 * (k % 7 + 1)
                assert (data[: n_bytes // 8] == k).all()
                k += 1
        return k
    finally:
        segment.close()


def test_two_processes(on_workers):
    segment = Segment.create(unique("test-ring"), 1 << 16)
    try:
        segment.commit(0, 1 << 16)
        ring.init(segment.address, 1024)
        assert on_workers(hammer, world=2, deadline=60) == [N_HAMMER, N_HAMMER]
    finally:
        segment.close()


def produce(name):
    """Send numbers until killed; a record of number k has k % 7 + 1 words, all of them k."""
    segment = Segment.attach(name)
    data, k = np.zeros(8, np.int64), 0
    while True:
        data[:] = k
        if ring.push(segment.address, data.ctypes.data, 8 * (k % 7 + 1)):
            k += 1


def test_a_killed_producer_leaves_whole_records(nothing_left):
    """R3: what was published is whole and in order, and the ring goes on with the next producer where it was."""
    rng = np.random.default_rng(0)
    segment = Segment.create(unique("test-killed"), 1 << 16)
    data = np.zeros(8, np.int64)

    def pop_one(k):
        n_bytes = ring.pop(segment.address, data.ctypes.data)
        if n_bytes < 0:
            return False
        assert n_bytes == 8 * (k % 7 + 1)
        assert (data[: n_bytes // 8] == k).all()
        return True

    try:
        segment.commit(0, 1 << 16)
        ring.init(segment.address, 1024)
        for _ in range(N_KILLS):
            process = processes.Process(target=produce, args=(unique("test-killed"),))
            process.start()
            k, n = 0, int(rng.integers(1, 3000))
            while k < n:
                k += pop_one(k)
            process.kill()
            process.join()
            process.close()
            while pop_one(k):
                k += 1
            assert not ring.is_unread(segment.address)
    finally:
        segment.close()
        segment.unmap()
