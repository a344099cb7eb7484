"""The content of a message: its values, or what it counted given back."""

from types import SimpleNamespace

import numpy as np
import pytest

from nbgrad.rpc import codec, content
from nbgrad.rpc.joint import Joint
from nbgrad.rpc.message import ONE_TENSOR


class Counted:
    """A value that is counted while a message carries it, as RRefs are."""

    n = 0


def count(value):
    Counted.n += 1
    return taken_over, ()


def taken_over():
    Counted.n -= 1
    return Counted()


def count_back(value):
    Counted.n -= 1


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setitem(codec.reducers, Counted, (count, count_back))
    monkeypatch.setattr(codec, "marks", [taken_over.__module__.encode()])
    monkeypatch.setattr(Counted, "n", 0)


class Released(Joint):
    """The joint where a message's context has been released."""

    def incoming(self, *arguments):
        raise RuntimeError("released")


def message(arrays, extra, n_tensors):
    return 1, 2, 0, -1, 0, 0, 0, n_tensors, arrays, extra


def agent(joint):
    return SimpleNamespace(joint=joint)


def test_a_message_that_is_one_tensor_is_that():
    x = np.ones(3)
    assert content.decode(agent(Joint()), message((x,), None, 1), ONE_TENSOR) is x


def test_arrays_beside_tensors_are_told_apart():
    a, b = np.zeros(2), np.ones(2)
    extra, _, arrays = codec.encode({"a": a, "b": b}, "it")
    found = content.decode(agent(Joint()), message(tuple(arrays), extra, 0), 0)
    assert found["a"] is a
    assert found["b"] is b


def test_what_a_message_counts_is_given_back_where_nobody_gets_it(counted):
    extra, _, _ = codec.encode([Counted(), Counted()], "it")
    assert Counted.n == 2
    content.discard(message((), extra, 0))
    assert Counted.n == 0


def test_and_where_its_context_has_been_released(counted):
    extra, _, _ = codec.encode([Counted()], "it")
    with pytest.raises(RuntimeError, match="released"):
        content.unpickle(agent(Released()), message((), extra, 0))
    assert Counted.n == 0
