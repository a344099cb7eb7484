"""The real rounds under all schedules: everybody sees what everybody showed, and nobody sleeps through an arrival."""

import pytest

from nbgrad.collectives import rounds
from nbgrad.shm import atomics
from tests.collectives.meeting import Op, meeting
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

SMALL = {
    "two barriers": [Op("barrier")] * 2,
    "three sums": [Op("all_reduce", 2)] * 3,
    "sum, broadcast, sum": [Op("all_reduce"), Op("broadcast", root=1), Op("all_reduce")],
    "broadcasts of both": [Op("broadcast"), Op("broadcast", root=1), Op("broadcast")],
    "a sum in pieces": [Op("all_reduce", 9), Op("all_reduce", 1)],
    "a difference": [Op("all_reduce"), Op("all_reduce", differs=1), Op("all_reduce")],
    "all to all": [Op("all_to_all", 3), Op("reduce_scatter", 3)],
    "scatter, gather": [Op("scatter", 3, root=1), Op("all_gather", 5)],
}
LARGE = {  # `offers`: members whose arrays lie in the segment
    "in place": [Op("all_reduce", 17, offers=(0, 1)), Op("all_reduce", 2)],
    "in place, twice": [Op("all_reduce", 9, offers=(0, 1))] * 2,
    "one can't": [Op("all_reduce", 9, offers=(1,)), Op("all_reduce", 2)],
    "to one": [Op("reduce", 17, root=1, offers=(0, 1)), Op("reduce", 9, root=0, offers=(0,))],
    "broadcast": [Op("broadcast", 9, root=1, offers=(1,)), Op("broadcast", 9, offers=(1,))],
    "all to all": [Op("all_to_all", 3, offers=(0, 1)), Op("all_to_all", 3, offers=(0,))],
    "shared": [Op("shared", 17, offers=(0, 1)), Op("shared", 9, offers=(1,))],
    "differs": [Op("all_reduce", 9, offers=(0, 1), differs=0), Op("all_reduce", 9, offers=(0, 1))],
}


@pytest.mark.parametrize("what", SMALL)
def test_small_operations_of_two(what):
    print(f"{what}: {explore(meeting(2, SMALL[what], light=True))}")


@pytest.mark.parametrize("what", LARGE)
def test_large_operations_of_two(what):
    print(f"{what}: {explore(meeting(2, LARGE[what], light=True))}")


@pytest.mark.parametrize("what", ["three sums", "sum, broadcast, sum", "a difference"])
def test_small_operations_of_three(what):
    print(f"{what}: {explore(meeting(3, SMALL[what], light=True))}")


def test_nobody_sleeps_through_an_arrival():
    print(explore(meeting(2, SMALL["two barriers"])))


MANY = [
    Op("all_reduce", 9),
    Op("reduce", 17, root=2, offers=(0, 1, 2)),
    Op("scatter", 2, root=1),
    Op("all_reduce", 2, differs=0),
    Op("all_gather", 3),
    Op("shared", 25, offers=(0, 1, 2)),
    Op("all_to_all", 2, offers=(0, 1, 2)),
    Op("reduce_scatter", 5),
    Op("barrier"),
    Op("all_reduce", 25, offers=(0, 1, 2)),
    Op("broadcast", 9, root=2, offers=(2,)),
    Op("all_reduce", 25, offers=(0, 2)),
]


@pytest.mark.parametrize("world", [2, 3, 4])
def test_many_operations_of_many(world):
    ops = [Op(o.kind, o.n, o.root % world, [p for p in o.offers if p < world], o.differs)
           for o in MANY]  # fmt: skip
    print(hammer(meeting(world, ops), range(60)))


def test_a_killed_member_leaves_the_others_waiting_and_nothing_torn():
    report = hammer(meeting(3, MANY), range(150), kill=lambda seed: True)
    print(report)
    assert report.kills > 120


WEAK = {
    "load_relaxed": atomics.load_relaxed,
    "store_relaxed": atomics.store_relaxed,
}
WAITS = "        if wait_all(g, pauses, yields, patience_ns) == 0:\n            return RUNNING\n"
PLANTED = {
    "shown before it is written": (
        "three sums",
        [
            Patch(
                rounds.show,
                "    poke(line + HASH, mixed)\n",
                "    store(line + ROUND, seq)\n    poke(line + HASH, mixed)\n",
            )
        ],
    ),
    "one line for all rounds": (
        "three sums",
        [
            Patch(rounds.show, "line = own + (seq & 1) * LINE_BYTES", "line = own"),
            Patch(rounds.all_here, "line = (seq & 1) * LINE_BYTES", "line = 0"),
            Patch(rounds.odd_one, "line = (peek(g + SEQ) & 1) * LINE_BYTES", "line = 0"),
            Patch(rounds.source, "(peek(g + SEQ) & 1) * LINE_BYTES", "0"),
        ],
    ),
    "one half of the box for all rounds": (
        "a sum in pieces",
        [
            Patch(rounds.fill_box, "(seq & 1) * peek(g + BOX_BYTES)", "0"),
            Patch(rounds.fill_box, "if pieces * stride > INLINE_BYTES:", "if True:"),
        ],
    ),
    "compared before all are here": (
        "three sums",
        [
            Patch(
                rounds.advance,
                f"{WAITS}        other = odd_one(g)\n",
                f"        other = odd_one(g)\n{WAITS}",
            )
        ],
    ),
    "the last member is not waited for": (
        "three sums",
        [Patch(rounds.all_here, "range(peek(g + MEMBERS))", "range(peek(g + MEMBERS) - 1)")],
    ),
    "sleeps on a word that is read too late": (
        "two barriers",
        [
            Patch(
                rounds.sleep,
                "    seen = load32(meet)\n    if all_here(g) == 0:\n        wait(meet, seen, patience_ns)\n",
                "    if all_here(g) == 0:\n        seen = load32(meet)\n        wait(meet, seen, patience_ns)\n",
            )
        ],
    ),
    "sleeps before it is counted": (
        "two barriers",
        [
            Patch(
                rounds.sleep,
                "    fetch_add32(meet + 4, 1)\n    seen = load32(meet)\n    if all_here(g) == 0:\n",
                "    seen = load32(meet)\n    here = all_here(g)\n    fetch_add32(meet + 4, 1)\n    if here == 0:\n",
            )
        ],
    ),
    "looks for sleepers before it arrives": (
        "two barriers",
        [
            Patch(rounds.show, "    store(line + ROUND, seq)\n", ""),
            Patch(
                rounds.advance,
                "            show(g)\n",
                "            show(g)\n            store(peek(g + OWN) + (peek(g + SEQ) & 1) * LINE_BYTES, peek(g + SEQ))\n",
                {"store": atomics.store},
            ),
        ],
    ),
    "published too weakly": (
        "three sums",
        [Patch(rounds.show, "store(line + ROUND", "store_relaxed(line + ROUND", WEAK)],
    ),
    "looked at too weakly": (
        "three sums",
        [Patch(rounds.all_here, "if load(", "if load_relaxed(", WEAK)],
    ),
    "no second round": (
        "in place, twice",
        [
            Patch(
                rounds.settle,
                "            move(g, 1)\n            poke(g + PHASE, TRAILING)\n",
                "            move(g, 1)\n            result = COMPLETE\n",
            )
        ],
    ),
    "everybody sums everything": (
        "in place",
        [
            Patch(
                rounds.reduce,
                "if kind == SLICE or (kind == FUSED and direct != 0):",
                "if kind == SLICE:",
            )
        ],
    ),
    "a shared result without a last round": (
        "shared in pieces",
        [Patch(rounds.settle, "if peek(g + TRAILS) == 0:", "if True:")],
    ),
    "the group is out of step after a difference": (
        "a difference",
        [
            Patch(
                rounds.advance,
                "            poke(g + OTHER, other)\n            poke(g + SEQ, peek(g + SEQ) + 1)\n",
                "            poke(g + OTHER, other)\n            poke(g + SEQ, peek(g + SEQ) + (peek(g + ME) & 1))\n",
            )
        ],
    ),
}
PROGRAMS = SMALL | LARGE | {"shared in pieces": [Op("shared", 25, offers=(1,)), Op("barrier")]}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug):
    program, patches = PLANTED[bug]
    with pytest.raises(Failure) as found:
        explore(meeting(2, PROGRAMS[program], program != "two barriers"), patches=patches)
    print(f"{bug}: {found.value}")
