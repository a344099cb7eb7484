"""The real letters under all schedules: each is read once, whole and in order, and nobody sleeps through one."""

import pytest

from nbgrad.collectives import letters
from nbgrad.shm import atomics
from nbgrad.shm.layout import SLOT_BYTES
from tests.collectives.meeting import ARRAYS, BASE, Member
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.source import Patch


def value(source, target, k):
    return 1000 * (source + 1) + 100 * target + k


def exchange(world, n, light=True, anybody=False):
    """A program: each member sends `n` letters to its right neighbor, and reads as many from its left one."""

    def program(machine):
        real, ended = machine.of(letters), []

        def wait(member, g, what, peer):
            while True:
                seen = machine.written()
                if not light:
                    found = real.wait_ready(g, what, peer, 0, 0, 1)
                else:
                    found = real.ready(g, what, peer)
                if found:
                    return found - 1
                if machine.dead:
                    return -1
                if light:
                    machine.wait_written(seen)

        def body(me):
            member = Member(machine, me, world)
            g, right, left = member.g, (me + 1) % world, (me - 1) % world
            letter = ARRAYS + 4096 * me
            for k in range(n):
                machine.here(me, k, "send")
                if wait(member, g, letters.FREE, right) < 0:
                    return
                machine.write(letter, value(me, right, k))
                real.post(g, right, letter)
                machine.here(me, k, "receive")
                source = wait(member, g, letters.COMING, letters.ANY if anybody else left)
                if source < 0:
                    return
                assert source == left
                found = machine.read(real.letter_from(g, left))
                assert found == value(left, me, k), f"member {me} got {found} as letter {k}"
                real.take(g, left)
            ended.append(me)

        for p in range(world):
            machine.name_region(ARRAYS + 4096 * p, 4096, f"letter of {p}")
            for q in range(world):
                line = BASE + p * SLOT_BYTES + letters.LETTERS + letters.LINE * q
                machine.name_region(line, 64, f"line of {p} about {q}")
            machine.spawn(f"member{p}", lambda me=p: body(me))

        def check():
            if not machine.dead:
                assert sorted(ended) == list(range(world))

        return check

    return program


@pytest.mark.parametrize("anybody", [False, True])
def test_letters_under_all_schedules(anybody):
    print(explore(exchange(2, 3, anybody=anybody)))


def test_nobody_sleeps_through_a_letter():
    print(explore(exchange(2, 1, light=False)))


@pytest.mark.parametrize("world", [2, 3, 4])
def test_many_letters(world):
    print(hammer(exchange(world, 6, light=False), range(80)))


def test_a_killed_member_tears_nothing():
    assert hammer(exchange(3, 4, light=False), range(100), kill=lambda seed: True).kills > 80


WEAK = {"store_relaxed": atomics.store_relaxed, "load_relaxed": atomics.load_relaxed}
PLANTED = {
    "posted before it is free": Patch(
        letters.ready, "(1 + member) * is_free(g, member)", "1 + member"
    ),
    "taken before it is read": Patch(
        letters.letter_from,
        "    return peek(g + SEGMENT) + peek(line + LETTER)",
        "    take(g, source)\n    return peek(g + SEGMENT) + peek(line + LETTER)",
        {"take": letters.take},
    ),
    "posted too weakly": Patch(letters.post, "store(", "store_relaxed(", WEAK),
    "looked at too weakly": Patch(letters.letter_from, "if load(", "if load_relaxed(", WEAK),
    "taken too weakly": Patch(letters.take, "store(", "store_relaxed(", WEAK),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(exchange(2, 3), patches=[PLANTED[bug]])
    print(f"{bug}: {found.value}")
