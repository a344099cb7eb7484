"""Pieces of a worker's life; the whole is in test_spawn.py and test_processes.py."""

import pytest

from nbgrad.errors import WorkerDied
from nbgrad.group import worker


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), (259, 3), ("sorry", 1)])
def test_exit_codes_are_the_interpreters(code, expected, capsys):
    assert worker.exit_code(SystemExit(code)) == expected
    assert capsys.readouterr().err == ("sorry\n" if code == "sorry" else "")


def test_an_error_that_comes_from_a_death_is_a_consequence():
    error = ValueError("no gradient")
    error.__cause__ = WorkerDied("worker 'a' ended")
    assert worker.is_consequence(error)
    assert not worker.is_consequence(ValueError("own"))


def test_a_cycle_of_causes_ends():
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    assert not worker.is_consequence(one)


def test_interrupts_and_exits_leave_no_report():
    assert worker.is_quiet(KeyboardInterrupt())
    assert worker.is_quiet(SystemExit(1))
    assert not worker.is_quiet(ValueError())
