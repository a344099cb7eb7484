"""Recording for several profiles at once, and the end of it."""

import nbgrad as nb
from nbgrad.autograd.watch import Watch
from nbgrad.profile.recorder import ALONE, recorder, start, stop


def test_each_profile_gets_what_happened_while_it_was_on():
    start("a")
    nb.ones(1) + 1
    start("b")
    nb.ones(1) * 1
    first = stop("a")
    nb.ones(1) - 1
    second = stop("b")
    assert [event.name for event in first] == ["add", "mul"]
    assert [event.name for event in second] == ["mul", "sub"]
    assert {event.worker for event in first} == {ALONE}


def test_nothing_is_watched_when_no_profile_is_on():
    start("a")
    assert Watch.record is recorder
    stop("a")
    assert Watch.record is None
    assert stop("a") == []
