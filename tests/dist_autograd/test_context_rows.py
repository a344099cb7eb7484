"""Context rows: joining, release, reuse."""

import numpy as np
import pytest

from nbgrad.dist_autograd import context_rows as rows

CONTEXT = 2 << 48 | 5 << 16 | 9


@pytest.fixture
def row():
    memory = np.zeros(64, np.int64)
    rows.open_row(memory.ctypes.data, CONTEXT, 1 << 2)
    yield memory.ctypes.data
    del memory


def test_release_gives_all_who_joined(row):
    assert rows.join(row, CONTEXT, 1 << 4)
    assert rows.join(row, CONTEXT, 1 << 4)
    assert rows.release(row, CONTEXT) == 1 << 2 | 1 << 4


def test_nobody_joins_a_released_context_and_it_is_released_once(row):
    rows.release(row, CONTEXT)
    assert not rows.join(row, CONTEXT, 1)
    assert not rows.is_open(row, CONTEXT)
    assert rows.release(row, CONTEXT) == 0


def test_another_context_of_the_same_row_is_not_met(row):
    other = CONTEXT + (1 << 16)
    assert not rows.join(row, other, 1)
    assert not rows.is_open(row, other)
    assert rows.release(row, other) == 0
    assert rows.is_open(row, CONTEXT)


def test_the_row_is_free_when_all_have_acknowledged(row):
    rows.join(row, CONTEXT, 1 << 4)
    rows.acknowledge(row, 2, CONTEXT)
    rows.acknowledge(row, 4, CONTEXT)
    assert not rows.is_free(row, 8)  # not released
    rows.release(row, CONTEXT)
    assert rows.is_free(row, 8)


def test_an_acknowledgement_of_an_older_context_does_not_count(row):
    rows.acknowledge(row, 2, CONTEXT - (1 << 16))
    rows.release(row, CONTEXT)
    assert not rows.is_free(row, 8)


def test_a_row_that_nobody_has_opened_belongs_to_no_context():
    memory = np.zeros(64, np.int64)
    row = memory.ctypes.data
    assert not rows.is_open(row, 0)  # the id of worker 0, use 0, row 0: all zeros, as the row
    assert not rows.join(row, 0, 1 << 4)
    assert rows.release(row, 0) == 0
    assert not memory.any()
