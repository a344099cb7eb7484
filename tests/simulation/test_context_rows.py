"""The real context rows under all schedules: C1 (all told), C2 (no ghosts), C3 (reuse after each acknowledgement)."""

import pytest

from nbgrad.dist_autograd import context_rows
from nbgrad.shm import atomics, words
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

ROW, MAIL = 1 << 16, 1 << 17
FIRST, SECOND = 1 << 16, 2 << 16  # two uses of row 0 of worker 0
RELEASED, LATE = 1, 2  # bits of a worker's mail


def release_while_joining(n_joining):
    """Worker 0 makes a context, releases it and makes another in the row, while `n_joining` members let one more join.

    They then post it a message of the context; who is told of the release acknowledges it.
    """
    newcomer, n_members = n_joining + 1, n_joining + 2

    def program(machine):
        rows, word = machine.of(context_rows), machine.of(words)
        machine.name_region(ROW, 8, "id")
        machine.name_region(ROW + context_rows.WORD, 8, "word")
        for k in range(n_members):
            machine.name_region(ROW + context_rows.ACKS + 8 * k, 8, f"ack of {k}")
            machine.name_region(MAIL + 64 * k, 8, f"mail of {k}")
        rows.open_row(ROW, FIRST, (1 << newcomer) - 1)
        joined, reopened, acknowledged = [], [], set()

        def owner():
            mask = rows.release(ROW, FIRST)
            assert mask, "somebody else has released it"
            rows.acknowledge(ROW, 0, FIRST)
            acknowledged.add(0)
            for k in range(1, n_members):
                if mask >> k & 1:
                    word.fetch_or(MAIL + 64 * k, RELEASED)
            assert all(mask >> k & 1 for k in joined), "a worker has joined, and is not told"
            seen = machine.written()
            while not rows.is_free(ROW, n_members):
                machine.wait_written(seen)
                seen = machine.written()
            assert acknowledged >= {k for k in range(n_members) if mask >> k & 1}, (
                "reused too early"
            )
            reopened.append(1)
            rows.open_row(ROW, SECOND, 1)

        def joining():
            if rows.join(ROW, FIRST, 1 << newcomer):
                joined.append(newcomer)
                assert not reopened, "joined a context that was released long ago"
                word.fetch_or(MAIL + 64 * newcomer, LATE)

        def member(k):
            mail = 0
            while not mail & RELEASED:
                machine.wait_until(lambda: machine.get((MAIL + 64 * k) >> 3))
                mail = word.exchange(MAIL + 64 * k, 0)
                if mail & LATE:
                    rows.is_open(
                        ROW, FIRST
                    )  # a context is made here if it is, and dropped with RELEASE
                if mail & RELEASED:
                    acknowledged.add(k)
                    rows.acknowledge(ROW, k, FIRST)
                    assert not rows.is_open(ROW, FIRST), "a late message would resurrect it"

        machine.spawn("owner", owner)
        for k in range(1, 1 + n_joining):
            machine.spawn(f"sender of {k}", joining, f"worker{k}")
        for k in range(1, n_members):
            machine.spawn(f"worker{k}", lambda k=k: member(k), f"worker{k}", daemon=True)

        def check():
            assert rows.is_open(ROW, SECOND)
            assert not rows.is_open(ROW, FIRST)
            assert not rows.join(ROW, FIRST, 64), "a released context can be joined"
            assert machine.get((ROW + context_rows.WORD) >> 3) & context_rows.MASK == 1, (
                "a ghost in the new context"
            )

        return check

    return program


@pytest.mark.slow
def test_every_worker_that_joined_is_told_and_the_row_waits_for_it():
    print(explore(release_while_joining(1)))


@pytest.mark.parametrize("n_joining", [1, 2])
def test_members_let_another_one_join_while_it_is_released(n_joining):
    print(hammer(release_while_joining(n_joining), range(400)))


def test_two_who_release_are_one():
    def program(machine):
        rows, masks = machine.of(context_rows), []
        rows.open_row(ROW, FIRST, 3)
        for k in range(2):
            machine.spawn(f"releases {k}", lambda: masks.append(rows.release(ROW, FIRST)))

        def check():
            assert sorted(masks) == [0, 3]

        return check

    print(explore(program))


NAMES = {"store": atomics.store}
PLANTED = {
    "joins without comparing": Patch(
        context_rows.join,
        "        if word & bit != 0 or cas(row + WORD, word, word | bit) == word:\n",
        "        if word & bit == 0:\n            store(row + WORD, word | bit)\n        if True:\n",
        NAMES,
    ),
    "releases without comparing": Patch(
        context_rows.release,
        "if cas(row + WORD, word, word | RELEASING) == word:",
        "store(row + WORD, word | RELEASING)\n        if True:",
        NAMES,
    ),
    "does not look at RELEASING": Patch(context_rows.join, "word & RELEASING != 0", "False"),
    "waits for no acknowledgement": Patch(context_rows.is_free, "!= context_id + 1", "< 0"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(release_while_joining(1), patches=[PLANTED[bug]])
    print(f"{bug}: {found.value}")
