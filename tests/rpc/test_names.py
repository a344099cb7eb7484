"""Names of functions, and the way back."""

import dataclasses

import pytest

from nbgrad.rpc import calls, names


class Counter:
    def plus(self, n):
        return n


@dataclasses.dataclass
class Adder:
    n: int


def test_names_are_resolved_in_modules_and_classes():
    assert names.resolve("nbgrad.rpc.calls", "Calls.send") is calls.Calls.send
    with pytest.raises(AttributeError):
        names.resolve("nbgrad.rpc.calls", "Calls.nothing")
    with pytest.raises(ImportError):
        names.resolve("nbgrad.rpc.nothing", "x")


def test_names_of_functions():
    assert names.name_of(Counter.plus) == "Counter.plus"
    assert names.name_of(Adder(1)) == "Adder(n=1)"
