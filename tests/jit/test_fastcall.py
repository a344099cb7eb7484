"""@fastcall and @native: builtins written by hand."""

import sys

import pytest

from nbgrad.errors import StartupError
from nbgrad.jit import fastcall, machine, native
from nbgrad.jit.fastcall import from_int, inc_ref, new_tuple, slot_offset, to_int
from nbgrad.jit.primitive import peek, poke


@fastcall
def pair(block, args, n_args):
    made = new_tuple(2)
    poke(made + 24, to_int(from_int(peek(args)) + peek(block)))
    thing = peek(args + 8)
    inc_ref(thing)
    poke(made + 32, thing)
    return made


@native
def nothing(address):
    return 0


def test_objects_in_and_out():
    thing = object()
    assert pair.bind([40])(2, thing) == (42, thing)


def test_each_binding_has_its_own_words():
    one, two = pair.bind([1]), pair.bind([2])
    assert (one(0, None)[0], two(0, None)[0]) == (1, 2)


def test_equal_words_are_bound_once():
    one, kept = pair.bind([1, object]), len(machine.immortal)
    assert pair.bind([1, object]) is one
    assert pair.bind([1, int]) is not one
    assert len(machine.immortal) == kept + 2  # words and block of the third


def test_references_do_not_drift():
    make, thing = pair.bind([0]), object()
    before = sys.getrefcount(thing)
    for _ in range(1000):
        make(1, thing)
    assert sys.getrefcount(thing) == before


class Slotted:
    __slots__ = ("a", "b")


class More(Slotted):
    __slots__ = ("c",)


@fastcall
def slot_of(block, args, n_args):
    thing = peek(peek(args) + peek(block))
    inc_ref(thing)
    return thing


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_slot_is_where_it_is_found(name):
    thing = More()
    thing.a, thing.b, thing.c = "a", "b", "c"
    assert slot_of.bind([slot_offset(More, name)])(thing) == name


def test_a_native_function_has_an_address():
    assert nothing.address() > 0
    assert nothing.address() == nothing.address()


def test_other_struct_layouts_are_refused(monkeypatch):
    monkeypatch.setattr(machine, "fast_calls", False)
    with pytest.raises(StartupError, match="training in one process works"):
        pair.bind([0])
