"""The real ledger under all schedules: G1 (no early end), G2 (one finisher), and one verdict however failures come in."""

import pytest

from nbgrad.dist_autograd import ledger
from nbgrad.shm import atomics, words
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

ROW, TOKENS = 1 << 16, 1 << 17
PASS = 3 << 16  # its use number is 3


def tree(n_threads, fails=()):
    """Each thread handles one token and hands on two more, until there is one for each; those in `fails` fail the pass.

    A token is a word that its thread waits for; its unit is added before it is set, and given back after it was handled.
    """

    def program(machine):
        real, load, store = machine.of(ledger), machine.of(words).load, machine.of(words).store
        for k, name in enumerate(("state", "outstanding", "unserved", "touched")):
            machine.name_region(ROW + 8 * k, 8, name)
        real.open_row(ROW, PASS, ledger.AUTO)
        handled, finished, first = [], [], []

        def handle(me):
            if me in fails:
                first.extend([me] * real.fail(ROW, me))
            for child in (2 * me + 1, 2 * me + 2):
                if child < n_threads:
                    real.add_units(ROW, 1)
                    store(TOKENS + 8 * child, 1)
            handled.append(me)
            if real.give_back(ROW, 1):
                assert len(handled) == n_threads, f"zero units, and only {handled} are handled"
                finished.append(real.close(ROW))

        def body(me):
            seen = machine.written()
            while me and load(TOKENS + 8 * me) == 0:
                machine.here(me)
                machine.wait_written(seen)
                seen = machine.written()
            handle(me)

        for k in range(n_threads):
            machine.spawn(f"t{k}", lambda k=k: body(k))

        def check():
            assert finished == [ledger.DRAINED if fails else ledger.DONE], (
                f"finishers saw {finished}"
            )
            assert real.status(ROW) == finished[0]
            assert real.units(ROW) == 0
            assert len(first) == bool(fails), f"first to fail: {first}"
            if fails:
                assert real.failed_rank(ROW) == first[0]
            assert real.outcome(ROW, PASS) == finished[0]
            assert real.outcome(ROW, PASS + (1 << 16)) == ledger.FREE

        return check

    return program


@pytest.mark.parametrize("fails", [(), (0,), (1,), (1, 2)])
def test_exactly_one_thread_finishes(fails):
    print(f"{fails}: {explore(tree(3, fails))}")


def test_exactly_one_of_many_finishes():
    print(hammer(tree(7), range(200)))
    print(hammer(tree(7, (2, 5)), range(200)))


def failure_from_outside(machine):
    """A pass that ends while somebody who holds no unit (a deadline, Ctrl-C) fails it: one of the two wins."""
    real = machine.of(ledger)
    real.open_row(ROW, PASS, ledger.AUTO)
    seen = []

    def finisher():
        if real.give_back(ROW, 1):
            seen.append(real.close(ROW))

    machine.spawn("finisher", finisher)
    failed = []
    for k in range(2):
        machine.spawn(f"outside{k}", lambda k=k: failed.extend([k] * real.fail(ROW, k)))

    def check():
        assert len(failed) <= 1
        assert seen == [ledger.DRAINED if failed else ledger.DONE]
        assert real.status(ROW) == seen[0]

    return check


def test_a_pass_ends_well_or_fails_but_not_both():
    print(explore(failure_from_outside))


PLANTED = {
    "unit after the token": Patch(
        ledger.add_units, "fetch_add(row + OUTSTANDING, n_units)", "pass"
    ),
    "count read and written": Patch(
        ledger.give_back,
        "return 1 if fetch_add(row + OUTSTANDING, -n_units) == n_units else 0",
        "left = load(row + OUTSTANDING) - n_units\n    store(row + OUTSTANDING, left)\n    return 1 if left == 0 else 0",
        {"load": atomics.load, "store": atomics.store},
    ),
    "zero read apart": Patch(
        ledger.give_back,
        "return 1 if fetch_add(row + OUTSTANDING, -n_units) == n_units else 0",
        "fetch_add(row + OUTSTANDING, -n_units)\n    return 1 if load(row + OUTSTANDING) == 0 else 0",
        {"load": atomics.load},
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(tree(3), patches=[PLANTED[bug]])
    print(f"{bug}: {found.value}")


BLIND = {  # the verdict is written whatever the word has become meanwhile
    "close": Patch(
        ledger.close,
        "found = cas(row, state, state & -256 | final)",
        "found = state\n        store(row, state & -256 | final)",
        {"store": atomics.store},
    ),
    "fail": Patch(
        ledger.fail,
        "found = cas(row, state, state & -65536 | rank << 8 | FAILED)",
        "found = state\n        store(row, state & -65536 | rank << 8 | FAILED)",
        {"store": atomics.store},
    ),
}


@pytest.mark.parametrize("who", BLIND)
def test_a_verdict_without_comparing_is_found(who):
    with pytest.raises(Failure):
        explore(failure_from_outside, patches=[BLIND[who]])
