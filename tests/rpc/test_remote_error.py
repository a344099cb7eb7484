"""Exceptions survive the trip: type, arguments, traceback."""

import pytest

from nbgrad.errors import RemoteError
from nbgrad.rpc import remote_error


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a, self.b = a, b


class Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.thing = lambda: 0


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def around(error):
    return remote_error.unpack(remote_error.pack(raised(error), "worker1", 1), "f")


class WithKeyword(KeyError):
    def __init__(self, *, code):
        super().__init__("with keyword")
        self.code = code


class Refuses(Exception):
    def __reduce__(self):
        raise TypeError("no")


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (TwoArguments(1, 2), {"a": 1, "b": 2}),
        (WithKeyword(code=5), {"code": 5}),
        (Refuses("x", 3), {}),
    ],
)
def test_a_constructor_that_takes_other_arguments_is_not_called(error, attributes):
    error.add_note("a note")
    came = around(error)
    assert type(came) is type(error)
    assert came.args == error.args
    assert str(came) == str(error)
    assert vars(came).items() >= attributes.items()
    assert came.__notes__ == ["a note"]
    assert isinstance(came.__cause__, RemoteError)


@pytest.mark.parametrize(
    "error", [KeyError("k"), ValueError("v"), OSError(2, "none"), StopIteration(3)]
)
def test_builtin_types_come_back_with_their_arguments(error):
    came = around(error)
    assert type(came) is type(error)
    assert came.args == error.args


def test_the_cause_has_the_remote_traceback_and_names_the_worker():
    cause = around(ValueError("v")).__cause__
    assert isinstance(cause, RemoteError)
    assert "in raised" in cause.remote_traceback
    assert "worker1" in str(cause)
    assert (cause.type_name, cause.rank) == ("ValueError", 1)


def test_what_pickles_badly_is_still_told():
    for error in (TwoArguments(1, 2), Unpicklable("text")):
        came = around(error)
        assert str(error) in str(came)
        assert isinstance(came, (type(error), RemoteError))


def test_the_headline_names_the_original():
    assert remote_error.headline(around(KeyError("k"))) == "'k' (KeyError)"
    assert remote_error.headline(around(TwoArguments(1, 2))) == "1 and 2 (TwoArguments)"
    assert remote_error.headline(around(SystemExit(3))) == "3 (SystemExit)"
    assert remote_error.headline(RemoteError("plain")) == "plain (RemoteError)"
