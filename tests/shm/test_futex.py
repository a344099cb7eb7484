"""Futex: values, time-outs, wake-ups and signals."""

import threading

import numpy as np
import pytest

from nbgrad.shm import futex

MS = 1_000_000


@pytest.fixture
def word():
    memory = np.zeros(16, np.int32)
    yield memory
    del memory


def test_another_value_does_not_sleep(word):
    assert futex.wait(word.ctypes.data, 1, 10_000 * MS) == futex.EAGAIN


def test_a_time_out(word):
    assert futex.wait(word.ctypes.data, 0, 5 * MS) == futex.ETIMEDOUT


def test_wake_returns_how_many(word):
    assert futex.wake(word.ctypes.data, futex.ALL) == 0
    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(futex.wait(word.ctypes.data, 0, 10_000 * MS))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    woken = 0
    while woken < 2:
        woken += futex.wake(word.ctypes.data, futex.ALL)
    for thread in threads:
        thread.join()
    assert answers == [0, 0]
