"""Recording for several profiles at once, and the end of it."""

import nbgrad as nb
from nbgrad.autograd.watch import Watch
from nbgrad.profile.recorder import ALONE, nbgrad_profile_begin, nbgrad_profile_end, recorder


def test_each_profile_gets_what_happened_while_it_was_on():
    nbgrad_profile_begin("a")
    nb.ones(1) + 1
    nbgrad_profile_begin("b")
    nb.ones(1) * 1
    first = nbgrad_profile_end("a")
    nb.ones(1) - 1
    second = nbgrad_profile_end("b")
    assert [event.name for event in first] == ["add", "mul"]
    assert [event.name for event in second] == ["mul", "sub"]
    assert {event.worker for event in first} == {ALONE}


def test_nothing_is_watched_when_no_profile_is_on():
    nbgrad_profile_begin("a")
    assert Watch.record is recorder
    nbgrad_profile_end("a")
    assert Watch.record is None
    assert nbgrad_profile_end("a") == []
