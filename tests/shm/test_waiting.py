"""Waiting: one slice, ended by what is waited for or by the time-out."""

import threading
import time

import pytest

from nbgrad.shm import bell, words
from nbgrad.shm.layout import BUSY, EPOCH, QUEUED, STANDBY
from tests.shm.place import bindings

SLICE_NS = 30_000_000
LONG_NS = 20_000_000_000


@pytest.fixture
def pair():
    with bindings() as found:
        yield found


def test_a_slice_without_an_event_ends_by_itself(pair):
    a, _ = pair
    for wait in (a.wait_bell, a.wait_standby):
        start = time.monotonic()
        assert wait(SLICE_NS) == 0
        assert time.monotonic() - start >= 0.02
    assert a.wait_epoch(0, SLICE_NS) == 0


def test_a_bit_that_is_set_already_ends_the_wait_at_once(pair):
    a, _ = pair
    bell.knock(a.own, 2)
    assert a.wait_bell(LONG_NS) == 1


def wakes(wait, act, is_asleep):
    """Whether a sleeping `wait()` is woken by `act()`."""
    answer = []
    thread = threading.Thread(target=lambda: answer.append(wait()))
    thread.start()
    while not is_asleep():
        pass
    act()
    thread.join(10)
    return answer == [1]


def test_a_knock_wakes_the_sleeper(pair):
    a, _ = pair
    assert wakes(
        lambda: a.wait_bell(LONG_NS),
        lambda: bell.knock(a.own, 2),
        lambda: words.load(a.own) & (1 << 31),
    )


def test_an_epoch_wakes_the_sleeper(pair):
    a, _ = pair
    word = a.own + EPOCH
    assert wakes(
        lambda: a.wait_epoch(0, LONG_NS),
        lambda: bell.bump_epoch(a.own),
        lambda: words.load(word) >> 32,
    )


def test_a_knock_wakes_the_standby_if_nobody_is_in_front(pair):
    a, _ = pair
    word = a.own + STANDBY
    assert wakes(
        lambda: a.wait_standby(LONG_NS),
        lambda: bell.knock(a.own, 2),
        lambda: words.load(word) >> 32,
    )


def test_the_standby_is_needed_where_the_front_is_busy_or_a_request_waits(pair):
    a, _ = pair
    bell.enter(a.own)
    bell.knock(a.own, 2)
    assert a.wait_standby(SLICE_NS) == 0
    words.fetch_add(a.own + BUSY, 1)
    assert a.wait_standby(LONG_NS) == 1
    bell.take_bits(a.own)
    words.store(a.own + QUEUED, 1)
    assert a.wait_standby(LONG_NS) == 1
