"""Slots between two ends of a pipe in one process: what arrives, and when a slot is used again.  Note [Slots]."""

import gc
import mmap
import multiprocessing
import os

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.data.slots import SMALLEST, Shelf, Windows


class Road:
    """A shelf and its windows."""

    def __init__(self, flags=mmap.MAP_SHARED):
        self.ours, self.theirs = multiprocessing.Pipe()
        self.shelf, self.windows = Shelf(), Windows(flags)

    def send(self, value):
        parcel = self.shelf.put(value)
        self.shelf.post(self.theirs, os.getpid(), ("about",), parcel)
        if parcel.is_new:
            self.shelf.close(parcel.slot)
        return parcel

    def carry(self, value):
        self.send(value)
        what, fields = self.ours.recv()
        assert what == "about"
        return self.windows.take(self.ours, fields)

    def close(self):
        self.ours.close()
        self.theirs.close()
        del self.shelf, self.windows


@pytest.fixture
def road(nothing_left):
    road = Road()
    yield road
    road.close()


def address(array):
    return array.__array_interface__["data"][0]


def test_batches_arrive_as_they_are(road):
    x = nb.rand(100, 3)
    batch = {"x": x, "y": [np.arange(5), "text"], "n": (1, 2.5), "none": nb.zeros(0, 2)}
    back = road.carry(batch)
    assert back["x"].tolist() == x.tolist()
    assert back["y"][0].tolist() == [0, 1, 2, 3, 4]
    assert (back["y"][1], back["n"], back["none"].shape) == ("text", (1, 2.5), (0, 2))
    assert address(back["y"][0]) % 64 == 0


def test_the_receiver_copies_nothing(road):
    back = road.carry(np.zeros(1000))
    (sent,) = (np.frombuffer(memory, np.uint8) for memory in road.shelf.maps)
    assert not sent.view(np.float64)[64:1000].any()
    back[:] = 7.0  # the receiver's own: it may write
    assert (sent.view(np.float64) == 7.0).sum() == 1000  # and it is the sender's memory


def test_a_slot_is_used_again_when_the_last_array_has_gone(road):
    first = road.carry([np.ones(10), nb.ones(10)])
    part = first[1].detach()[2:4]
    del first
    gc.collect()
    assert road.windows.returned() == []  # a view of a tensor of the batch is still there
    second = road.carry(np.zeros(10))
    assert len(road.shelf.maps) == 2
    assert part.tolist() == [1.0, 1.0]
    del part
    assert road.windows.returned() == [0]
    road.shelf.free([0])
    third = road.carry(np.full(10, 3.0))
    assert len(road.shelf.maps) == 2
    assert (second[0], third[0]) == (0.0, 3.0)


def test_the_smallest_that_is_large_enough_is_taken(road):
    kept = [road.carry(np.zeros(n, np.uint8)) for n in (4 * SMALLEST, SMALLEST // 2)]
    assert [len(memory) for memory in road.shelf.maps] == [8 * SMALLEST, SMALLEST]
    kept.clear()
    road.shelf.free(road.windows.returned())
    assert road.send(np.zeros(10)).slot == 1
    assert road.send(np.zeros(SMALLEST, np.uint8)).slot == 0
    assert road.send(np.zeros(10)).is_new
    while road.ours.poll():
        road.windows.drop(road.ours, road.ours.recv()[1])
    assert sorted(road.windows.returned()) == [0, 1, 2]


def test_private_windows_keep_what_they_write(nothing_left):
    road = Road(mmap.MAP_PRIVATE)
    x = road.carry(np.zeros(100))
    x[:] = 5.0
    assert np.frombuffer(road.shelf.maps[0], np.float64).max() != 5.0
    del x
    road.close()
