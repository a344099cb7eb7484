"""Doorbell: bits, sleep, and who is woken; all schedules are stepped in tests/simulation."""

import numpy as np
import pytest

from nbgrad.shm import bell, words
from nbgrad.shm.layout import BELL, FRONT, PAGE, READY, SENDERS, SLEEP, STANDBY, STATE, TAKEN


@pytest.fixture
def worker():
    memory = np.zeros(2 * PAGE // 8, np.int64)
    yield memory.ctypes.data
    del memory


def bits(worker):
    return words.load(worker + BELL) & 0xFFFFFFFF


def test_bits_add_up_and_are_taken_at_once(worker):
    bell.knock(worker, 1 << 3)
    bell.knock(worker, 1 << 5)
    assert bell.take_bits(worker) == (1 << 3) | (1 << 5)
    assert bell.take_bits(worker) == 0


def test_sleep_only_without_bits(worker):
    bell.knock(worker, 1)
    assert not bell.fall_asleep(worker)
    bell.take_bits(worker)
    assert bell.fall_asleep(worker)
    assert bits(worker) == SLEEP


def test_a_knock_on_a_sleeper_wakes_and_is_seen(worker):
    bell.fall_asleep(worker)
    assert bell.knock(worker, 1 << 2) == 1
    assert bell.stand_up(worker) == 1
    assert bell.take_bits(worker) == 1 << 2


def test_standing_up_by_oneself_takes_sleep_away(worker):
    bell.fall_asleep(worker)
    assert bell.stand_up(worker) == 0
    assert bits(worker) == 0


def test_the_standby_is_woken_only_if_nobody_is_in_front(worker):
    words.fetch_add(worker + STANDBY, 1 << 32)  # one thread sleeps there
    assert bell.knock(worker, 1) == 1
    bell.enter(worker)
    assert bell.knock(worker, 1) == 0


def test_the_last_to_leave_hands_over(worker):
    words.fetch_add(worker + STANDBY, 1 << 32)
    bell.enter(worker)
    bell.knock(worker, 1)
    before = words.load(worker + STANDBY) & 0xFFFFFFFF
    bell.leave(worker)
    assert words.load(worker + STANDBY) & 0xFFFFFFFF == before + 1
    assert words.load(worker + FRONT) == 0


def test_what_was_taken_and_not_popped_is_put_back(worker):
    words.store(worker + TAKEN, 1 << 4)
    bell.put_back(worker)
    assert bits(worker) & SENDERS == 1 << 4
    assert words.load(worker + TAKEN) == 0


def test_all_reached(worker):
    assert not bell.all_reached(worker, 2, READY)
    words.store(worker + STATE, READY)
    words.store(worker + PAGE + STATE, READY + 1)
    assert bell.all_reached(worker, 2, READY)
