"""Exit statuses as words and as sentences."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbgrad.group import status


@given(st.one_of(st.none(), st.integers(0, 255), st.integers(-64, -1)))
def test_a_word_says_how_a_process_ended(code):
    word = status.encode(code)
    assert word > 0
    assert status.decode(word) == code


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "exit code 0"), (-signal.SIGSEGV, "signal SIGSEGV"), (-40, "signal 40"), (None, "nobody")],
)
def test_description_names_code_or_signal(code, text):
    assert text in status.describe(code)


def test_sigkill_hints_at_memory():
    assert "out of memory" in status.hint(-signal.SIGKILL)
    assert status.hint(1) == ""
