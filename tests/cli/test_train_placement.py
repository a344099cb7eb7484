"""Where workers computed, in words: of a group's members, and of all of its kinds."""

from nbgrad.cli.train_placement import described, placements
from nbgrad.parallel import Placement, place
from tests.collectives.everywhere import everywhere


def test_in_words():
    assert (
        described([Placement((0, 1), True, 2), Placement((2, 3), True, 1)])
        == "cores 0,1 | 2,3, pinned; 1 or 2 BLAS threads each"
    )


def told(rank, world):
    return placements(place(threads=1))


def test_all_members_are_told(group2):
    first, second = group2.call(everywhere, told)
    assert first == second
    assert first.count("|") == 1
    assert first.endswith("1 BLAS thread each")
