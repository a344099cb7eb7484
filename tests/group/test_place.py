"""Where a worker was born."""

import os

from nbgrad.group import place, spawn


def test_a_process_without_supervisor_has_no_birthplace():
    assert place.birthplace() is None


def look(index, world):
    here = place.birthplace()
    assert here.index == index
    assert here.layout.world == world
    child = os.fork()
    if child == 0:
        os._exit(place.birthplace() is not None)
    assert os.waitpid(child, 0)[1] == 0


def test_a_spawned_worker_knows_its_place_and_its_children_do_not(nothing_left):
    spawn(look, (2,), nprocs=2)
