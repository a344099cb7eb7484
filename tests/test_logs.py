"""Logging: silent unless asked for, under the worker's name, and nothing on the path of a call."""

import logging
import re

import pytest

from nbgrad import logs, rpc
from tests import groups


@pytest.fixture
def untouched(monkeypatch):
    """The logger as it was, before and after."""
    monkeypatch.setattr(logs, "handlers", [])
    before = logs.logger.level, list(logs.logger.handlers)
    yield monkeypatch
    logs.logger.setLevel(before[0])
    logs.logger.handlers[:] = before[1]


def test_without_the_variable_logging_is_left_alone(untouched):
    untouched.delenv(logs.VARIABLE, raising=False)
    level, handlers = logs.logger.level, list(logs.logger.handlers)
    logs.configure("w")
    assert (logs.logger.level, logs.logger.handlers) == (level, handlers)
    assert logs.tracer() is None


def test_a_level_that_is_none_is_refused(untouched):
    untouched.setenv(logs.VARIABLE, "verbose")
    with pytest.raises(ValueError, match="NBGRAD_LOG is 'verbose': it can be debug, info, warning"):
        logs.configure("w")


def test_lines_carry_the_workers_name_also_after_a_second_group(untouched, capsys):
    untouched.setenv(logs.VARIABLE, "INFO")
    untouched.setattr(logging.getLogger(), "handlers", [])
    logs.configure("first")
    logs.configure("second")
    logs.logger.info("something")
    text = capsys.readouterr().err
    assert re.search(r"INFO second \(pid \d+\): something", text)
    assert text.count("something") == 1
    assert logs.tracer() is None


def test_a_program_that_has_set_up_logging_gets_the_lines_in_its_own_way(untouched, caplog):
    untouched.setenv(logs.VARIABLE, "debug")
    logs.configure("w")  # (pytest has put a handler at the root)
    assert logs.handlers == []
    logs.trace("call", "f", 0)
    assert re.search(r"call f: \d+\.\d us", caplog.text)
    assert logs.tracer() is logs.trace


def double(x):
    return 2 * x


def call_once():
    return rpc.rpc_sync(1, double, args=(4,))


def test_debug_tells_calls_and_requests_of_all_workers(monkeypatch, capfd):
    monkeypatch.setenv(logs.VARIABLE, "debug")
    with groups.fresh(2) as group:
        assert group.call(call_once) == 8
    text = capfd.readouterr().err
    assert re.search(
        r"INFO worker1 \(pid \d+\): rank 1 of the group \['worker0', 'worker1'\]", text
    )
    assert re.search(r"DEBUG worker0 \(pid \d+\): call double\(worker0 -> worker1\): ", text)
    assert re.search(r"DEBUG worker1 \(pid \d+\): request \S*double\(worker0 -> worker1\): ", text)
    assert re.search(r"INFO worker0 \(pid \d+\): leaves the group\n", text)
