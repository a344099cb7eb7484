"""Errors of callbacks and remote functions are found by their type, and as RuntimeError, as in PyTorch."""

import os
import pickle

import pytest

from nbgrad import rpc
from nbgrad.futures import Future
from nbgrad.rpc.twofold import of_call, original, twofold, with_runtime_error


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.second = second


class Never(Exception):
    def __init_subclass__(cls):
        raise TypeError("no subclass")


def a_file_is_missing():
    try:
        os.stat("/there/is/no/such/file")
    except OSError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"),
        ValueError("v"),
        TwoArguments(1, 2),
        a_file_is_missing(),
        UnicodeDecodeError("utf8", b"x", 0, 1, "r"),
    ],
)
def test_an_error_is_of_its_type_and_a_runtime_error(error):
    error.__cause__ = cause = LookupError("cause")
    made = with_runtime_error(error)
    assert isinstance(made, type(error))
    assert isinstance(made, RuntimeError)
    assert (str(made), repr(made), made.args) == (str(error), repr(error), error.args)
    assert vars(made) == vars(error)
    assert made.__cause__ is cause
    assert made.__traceback__ is error.__traceback__
    assert getattr(made, "filename", None) == getattr(error, "filename", None)


def test_a_runtime_error_stays_what_it_is():
    error = NotImplementedError("x")
    assert with_runtime_error(error) is error


def test_where_there_is_no_such_class_the_error_stays():
    error = Never("x")
    assert with_runtime_error(error) is error


def test_value_and_type_errors_of_calls_stay():
    for error in (ValueError("v"), TypeError("t")):
        assert of_call(error) is error
    assert isinstance(of_call(UnicodeDecodeError("utf8", b"x", 0, 1, "r")), RuntimeError)


def test_it_is_pickled_as_the_original():
    made = pickle.loads(pickle.dumps(with_runtime_error(KeyError("k"))))
    assert type(made) is KeyError
    assert made.args == ("k",)
    assert pickle.loads(pickle.dumps(type(with_runtime_error(KeyError())))) is KeyError


def test_the_original_of_a_class():
    class Both(KeyError, RuntimeError):
        pass

    assert original(twofold(KeyError)) is KeyError
    for kind in (KeyError, Both, object):
        assert original(kind) is kind


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError])
def test_errors_of_callbacks_are_runtime_errors(kind):
    def fail(done):
        raise kind("in a callback")

    future = Future()
    child = future.then(fail)
    grandchild = child.then(lambda done: done.value())
    future.set_result(1)
    for failed in (child, grandchild):
        with pytest.raises(RuntimeError, match="in a callback") as caught:
            failed.wait()
        assert isinstance(caught.value, kind)


# ---------------------------------------------------------------- across workers


def fail_there(first, second):
    raise TwoArguments(first, second)


def fail_far(first, second):
    return rpc.rpc_sync(0, fail_there, args=(first, second))


def caught():
    found = []
    for call in (
        lambda: rpc.rpc_sync(1, fail_there, args=(1, 2)),
        lambda: rpc.rpc_sync(1, fail_far, args=(1, 2)),
        lambda: rpc.remote(1, fail_there, args=(1, 2)).to_here(),
    ):
        try:
            call()
        except TwoArguments as error:
            found.append((isinstance(error, RuntimeError), error.second, str(error)))
    return found


def test_errors_of_remote_functions_are_runtime_errors_through_any_number_of_workers(group2):
    assert group2.call(caught) == [(True, 2, "1 and 2")] * 3
