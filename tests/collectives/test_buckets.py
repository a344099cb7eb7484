"""The real buckets under all schedules: sums of whole buckets only, and nobody sleeps through one."""

import pytest

from nbgrad.collectives import buckets, rounds
from nbgrad.shm import atomics
from tests.collectives.meeting import ARRAYS, BASE, COMBINE, SHARED, Member, combine
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

WORDS = 9  # of a bucket: two cache lines, so that two members have a slice each


def value(member, step, bucket, k):
    return 1000 * (member + 1) + 100 * step + 10 * bucket + k


PAIR = 24  # address that stands for a function
TABLES = ARRAYS + (1 << 16)  # per member, in lines of its own
HALF = 2048  # of a member's memory: a piece lies in another place in each step


def has(member, step, bucket):
    """All but member 0 have nothing to add to bucket 1 of the first step, nor to bucket 0 of the second."""
    return member == 0 or step + bucket != 1


def steps(world, n_steps, n_buckets, light=True):
    """A program: all members run all steps; `light`: without sleeping."""

    def program(machine):
        machine.functions[COMBINE] = combine(machine)

        def add_pair(out, a, b, count, *rest):
            assert count % 2 == 0, "whole lines: two words here"
            for k in range(count):
                machine.write(out + 8 * k, machine.read(a + 8 * k) + machine.read(b + 8 * k))
            return 0

        machine.functions[PAIR] = add_pair
        real, ended = machine.of(buckets), []
        size = 8 * WORDS
        room = (size + 63) & -64

        def body(me):
            member = Member(machine, me, world)
            member.put(rounds.COMBINE, COMBINE)
            pieces = buckets.BUCKETS + buckets.BUCKET * (n_buckets + 1)
            q = machine.allocate(pieces + buckets.PIECE * n_buckets)
            private = machine.private
            for p in range(world):
                private[q + buckets.TABLES + 8 * p] = TABLES + 4096 * p
            private[q + buckets.PIECES] = q + pieces
            private[q + buckets.PAIR], private[q + buckets.UNIT] = PAIR, 16
            private[q + buckets.GROUP] = member.g
            private[q + buckets.RESULT] = SHARED
            private[q + buckets.N_BUCKETS] = n_buckets
            for k in range(n_buckets + 1):
                private[q + buckets.BUCKETS + buckets.BUCKET * k] = k * room
                private[q + buckets.BUCKETS + buckets.BUCKET * k + buckets.FIRST_PIECE] = k
            for k in range(n_buckets):
                row = q + pieces + buckets.PIECE * k
                private[row], private[row + buckets.START] = k, k * room
                private[row + buckets.N_BYTES] = size
            for step in range(n_steps):
                for bucket in range(n_buckets):
                    machine.here(me, step, bucket, private.get(q + buckets.NEXT, 0))
                    start = ARRAYS + 4096 * me + HALF * (step & 1) + bucket * room
                    offset = start - BASE if has(me, step, bucket) else 0
                    machine.write(TABLES + 4096 * me + 8 * bucket, offset)
                    for k in range(WORDS):
                        machine.write(start + 8 * k, value(me, step, bucket, k))
                    real.start(q)
                    real.progress(q)
                private[q + buckets.TARGET] = (step + 1) * n_buckets
                while True:
                    machine.here(me, step, "ends", private.get(q + buckets.NEXT, 0))
                    seen = machine.written()
                    if light:
                        over = real.is_over(q)
                    else:
                        over = real.finish(q, 0, 0, 1) == rounds.COMPLETE
                    if over:
                        break
                    if machine.dead:
                        return
                    if light:
                        machine.wait_written(seen)
                for bucket in range(n_buckets):
                    for k in range(WORDS):
                        found = machine.read(SHARED + bucket * room + 8 * k)
                        members = [p for p in range(world) if has(p, step, bucket)]
                        wanted = sum(value(p, step, bucket, k) for p in members)
                        assert found == wanted, f"member {me}, step {step}, bucket {bucket}"
            ended.append(me)

        machine.name_region(SHARED, 4096, "result")
        for p in range(world):
            machine.name_region(ARRAYS + 4096 * p, 4096, f"buffer of {p}")
            machine.name_region(TABLES + 4096 * p, 4096, f"table of {p}")
            machine.name_region(BASE + 2048 * p + rounds.FILLED, 8, f"filled of {p}")
            machine.name_region(BASE + 2048 * p + rounds.REDUCED, 8, f"reduced of {p}")
        for me in range(world):
            machine.spawn(f"member{me}", lambda me=me: body(me))

        def check():
            if not machine.dead:
                assert sorted(ended) == list(range(world))

        return check

    return program


@pytest.mark.parametrize(("world", "n_steps", "n_buckets"), [(2, 1, 2), (2, 2, 1), (2, 2, 2)])
def test_steps_under_all_schedules(world, n_steps, n_buckets):
    print(explore(steps(world, n_steps, n_buckets)))


def test_nobody_sleeps_through_a_bucket():
    print(explore(steps(2, 1, 1, light=False)))


@pytest.mark.parametrize("world", [2, 3])
def test_many_steps(world):
    print(hammer(steps(world, 3, 3, light=False), range(60)))


def test_a_killed_member_tears_nothing():
    report = hammer(steps(3, 3, 2, light=False), range(100), kill=lambda seed: True)
    print(report)
    assert report.kills > 80


WEAK = {"store_relaxed": atomics.store_relaxed, "load_relaxed": atomics.load_relaxed}
PLANTED = {
    "summed when one member has filled it": Patch(buckets.least, "min(found", "max(found"),
    "told before it is summed": Patch(
        buckets.progress,
        "        for k in range(",
        "        store(peek(g + OWN) + REDUCED, peek(q + NEXT) + 1)\n        for k in range(",
    ),
    "over when this member is": Patch(
        buckets.is_over, "least(peek(q + GROUP), REDUCED)", "peek(q + NEXT)"
    ),
    "filled too weakly": Patch(buckets.start, "store(", "store_relaxed(", WEAK),
    "everybody sums everything": Patch(
        buckets.progress,
        "at, end = (min(first + me * share, last), min(first + (me + 1) * share, last))",
        "at, end = (first, last)",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(steps(2, 2, 1), patches=[PLANTED[bug]])
    print(f"{bug}: {found.value}")


def test_a_lost_wake_up_is_found():
    patch = Patch(
        buckets.finish,
        "    seen = load32(meet)\n    if is_over(q) == 0:\n        wait(meet, seen, patience_ns)\n",
        "    if is_over(q) == 0:\n        seen = load32(meet)\n        wait(meet, seen, patience_ns)\n",
    )
    with pytest.raises(Failure):
        explore(steps(2, 1, 1, light=False), patches=[patch])
