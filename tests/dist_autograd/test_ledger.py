"""The row of a pass: units, sends, one finisher; all schedules are stepped in tests/simulation."""

import numpy as np
import pytest

from nbgrad.dist_autograd import ledger

PASS = 3 << 48 | 7 << 16 | 2


@pytest.fixture
def row():
    memory = np.zeros(32, np.int64)
    ledger.open_row(memory.ctypes.data, PASS, ledger.FAST)
    yield memory.ctypes.data
    del memory


def test_an_open_row_runs_with_the_callers_unit(row):
    assert ledger.status(row) == ledger.RUNNING
    assert (ledger.units(row), ledger.id_of(row), ledger.mode(row)) == (1, PASS, ledger.FAST)


def test_only_the_last_unit_makes_a_finisher(row):
    ledger.add_units(row, 2)
    assert [ledger.give_back(row, 1) for _ in range(3)] == [0, 0, 1]


def test_a_handled_message_tells_what_it_served_with_its_unit(row):
    ledger.count_sends(row, 3, 1)
    ledger.add_units(row, 1)
    assert (ledger.handled(row, 2), ledger.unserved(row), ledger.units(row)) == (0, 1, 1)
    assert (ledger.handled(row, 0), ledger.unserved(row), ledger.units(row)) == (1, 1, 0)


def test_it_is_done_when_all_sends_are_served(row):
    ledger.count_sends(row, 2, 1 << 4)
    ledger.serve(row, 1)
    assert ledger.close(row) == 0
    ledger.serve(row, 1)
    assert ledger.close(row) == ledger.DONE
    assert ledger.touched(row) == 1 << 4


def test_the_first_failure_wins_and_the_row_drains(row):
    ledger.count_sends(row, 1, 1)
    assert ledger.fail(row, 5)
    assert not ledger.fail(row, 6)
    assert (ledger.status(row), ledger.failed_rank(row)) == (ledger.FAILED, 5)
    assert ledger.close(row) == ledger.DRAINED
    assert ledger.failed_rank(row) == 5


def test_a_done_pass_can_not_fail(row):
    ledger.close(row)
    assert not ledger.fail(row, 1)
    assert ledger.status(row) == ledger.DONE


def test_a_row_that_went_on_is_free_for_the_old_pass(row):
    assert ledger.outcome(row, PASS) == ledger.RUNNING
    ledger.open_row(row, PASS + (1 << 16), ledger.AUTO)
    assert ledger.outcome(row, PASS) == ledger.FREE
    assert ledger.outcome(row, PASS + (1 << 16)) == ledger.RUNNING


def test_settling_starts_with_the_finishers_unit(row):
    ledger.give_back(row, 1)
    ledger.settle(row, 3)
    assert (ledger.phase(row), ledger.units(row)) == (1, 4)
