"""Words: atomic operations from Python."""

import numpy as np

from nbgrad.shm import words


def test_each_operation_returns_the_old_value():
    memory = np.zeros(1, np.int64)
    at = memory.ctypes.data
    words.store(at, 5)
    assert words.fetch_add(at, -7) == 5
    assert words.load(at) == -2
    assert words.exchange(at, 8) == -2
    assert words.fetch_or(at, 3) == 8
    assert words.cas(at, 0, 1) == 11
    assert words.cas(at, 11, 1) == 11
    assert memory[0] == 1
