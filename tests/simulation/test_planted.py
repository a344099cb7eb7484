"""The bugs that this design is known to invite, planted in the real source one at a time: each must be found.

A patch that does not fit the source any more, or whose function nothing runs, is an error and not a bug that was found.
Each failure tells its schedule or seed; run with `-rP` to see them.
"""

import pytest

from nbgrad.dist_autograd.engine import Engine
from nbgrad.dist_autograd.part import Part
from nbgrad.rpc.agent import Agent
from nbgrad.shm import arena, atomics, ring, wire
from nbgrad.shm.layout import BELL, SENDERS
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.programs import CONSTANTS, LIGHT, chain, failing, random_passes, star
from tests.simulation.source import Patch
from tests.simulation.test_arena import copy_on_write
from tests.simulation.test_bell import QUICK, sleeper

NAMES = {
    "BELL": BELL,
    "SENDERS": SENDERS,
    "load": atomics.load,
    "load32": atomics.load32,
    "load_relaxed": atomics.load_relaxed,
    "store": atomics.store,
    "store_relaxed": atomics.store_relaxed,
}
AT_ZERO = """
            self.engine.at_zero(self.row, self.id, self.context.id)"""

DECREMENT_FIRST = [  # the unit of a message goes back before its children are counted
    Patch(
        Part.handle,
        "    try:\n        hold.state = OPEN\n",
        f"    if ledger.give_back(self.row, 1):{AT_ZERO}\n"  # (indented enough)
        "    try:\n        hold.state = OPEN\n",
    ),
    Patch(
        Part.handle,
        f"if ledger.handled(self.row, n_served):{AT_ZERO}",
        "ledger.serve(self.row, n_served)",
    ),
]
COUNT_AFTER_PUBLISH = [
    Patch(
        wire.commit,
        "    if row != 0:\n        fetch_add(row + OUTSTANDING, 1)\n    publish(ring, record)\n    knock(worker, bit)\n",
        "    publish(ring, record)\n    knock(worker, bit)\n    if row != 0:\n        fetch_add(row + OUTSTANDING, 1)\n",
    )
]
PUBLISH_BEFORE_PAYLOAD = [
    Patch(
        wire.post,
        "    for k in range(1 + N_HEADER):\n        poke(record",
        "    publish(ring, record)\n    for k in range(1 + N_HEADER):\n        poke(record",
    ),
    Patch(wire.commit, "    publish(ring, record)\n", ""),
]
NO_DRAINING = [  # a worker that finds a ring full waits, and leaves its own inbox alone
    Patch(
        Agent.drain,
        "                message = self.take(self.everybody)\n                if message is None:\n",
        "                message = None\n                if message is None:\n",
    )
]
BITS_CLEARED_LATE = [  # the doorbell's bits are looked at, the rings popped, then the bits cleared
    Patch(
        wire.take,
        "taken = take_bits(own)\n    record",
        "taken = load32(own + BELL) & SENDERS\n    record",
        NAMES,
    ),
    Patch(
        wire.take,
        "        if taken == 0:\n            taken = take_bits(own)",
        "        if taken == 0:\n            take_bits(own)",
    ),
]
ROW_PER_CONTEXT = [  # every pass of this context gets row 0, whatever has become of the one before
    Patch(
        Engine.new_id,
        "    if self.failed_rows:\n        self.drop_failed()\n    try:\n        return self.free.popleft() + NEXT_USE\n",
        "    try:\n        self.last_use = getattr(self, 'last_use', self.agent.rank << 48) + NEXT_USE\n"
        "        return self.last_use\n",
    )
]
CHECK_THEN_WRITE = [
    Patch(
        arena.begin_write,
        "return 1 if cas(block + HOLDERS, word, word | WRITING) == word else 0",
        "store(block + HOLDERS, word | WRITING)\n    return 1",
        NAMES,
    )
]
SMALL_RINGS = random_passes(3, 20)


def all_schedules(program, patches, constants=None, **options):
    return lambda: explore(program, patches=patches, constants=constants, **options)


def seeds(program, patches, n=300, **options):
    return lambda: hammer(program, range(n), patches=patches, constants=CONSTANTS, **options)


WRONG_END = r"wait for ever|contexts hold|is DONE with|nothing but time-outs"
SEARCHES = {  # what was planted, and how it is found: (search, what the failure says)
    "decrement before children are counted, all schedules": (
        all_schedules(chain(2, 1, light=True), DECREMENT_FIRST, LIGHT),
        WRONG_END,
    ),
    "decrement before children are counted, seeds": (
        seeds(SMALL_RINGS, DECREMENT_FIRST, slices=True),
        WRONG_END,
    ),
    "count after publish, all schedules": (
        all_schedules(chain(2, 1, light=True), COUNT_AFTER_PUBLISH, LIGHT),
        WRONG_END,
    ),
    "count after publish, seeds": (seeds(SMALL_RINGS, COUNT_AFTER_PUBLISH, slices=True), WRONG_END),
    "publish before payload, all schedules": (
        all_schedules(sleeper(1, 2), PUBLISH_BEFORE_PAYLOAD, QUICK),
        "race: read of ring",
    ),
    "publish before payload, seeds": (
        seeds(SMALL_RINGS, PUBLISH_BEFORE_PAYLOAD, n=3000, slices=True),  # one seed in 300 shows it
        "race: read of ring",
    ),
    "rings of one message without draining, all schedules": (
        all_schedules(star(4, ring_capacity=128, light=True), NO_DRAINING, LIGHT),
        "wait for ever: worker0 for a write, worker1 for a write",
    ),
    "small rings without draining, seeds": (
        seeds(random_passes(3, 60), NO_DRAINING, slices=True),
        "still running|nothing but time-outs",
    ),
    "doorbell bits cleared after popping, all schedules": (
        all_schedules(sleeper(1, 2), BITS_CLEARED_LATE, QUICK),
        "wait for ever: worker0 on bell of 0",
    ),
    "doorbell bits cleared after popping, seeds": (
        seeds(SMALL_RINGS, BITS_CLEARED_LATE, slices=True),
        r"worker\d sleeps although",
    ),
    "ledger row per context, seeds": (
        seeds(failing(3, "fgg", 2), ROW_PER_CONTEXT, slices=True),
        r"contexts hold|is DONE|the pass failed",
    ),
    "check, then write, all schedules": (
        all_schedules(copy_on_write(1), CHECK_THEN_WRITE),
        "race: write of arena",
    ),
    "check, then write, seeds": (
        seeds(copy_on_write(2, 3), CHECK_THEN_WRITE),
        "race: write of arena",
    ),
}


@pytest.mark.parametrize("what", SEARCHES)
def test_planted_bug_is_found(what):
    search, says = SEARCHES[what]
    with pytest.raises(Failure, match=says) as found:
        search()
    print(found.value)
    assert "schedule: " in str(found.value)


@pytest.mark.parametrize("plain", [False, True])
def test_a_torn_value_is_found_by_what_is_read(plain, monkeypatch):
    """Check-then-write once more, without clocks: the reader itself sees two versions."""
    monkeypatch.setattr("tests.simulation.primitives.ordered", lambda *args: None)
    if plain:
        with pytest.raises(Failure, match="torn snapshot|a snapshot changed|holder is gone"):
            explore(copy_on_write(1), patches=CHECK_THEN_WRITE, plain=True)
    else:
        explore(copy_on_write(1), plain=True)


# ------------------------------------------------------------ (!) bugs that the simulator found in nbgrad itself

FOUND = {
    "a bit without a record is taken, and its worker sleeps": all_schedules(
        chain(2, 1),
        [Patch(Agent.pop_until, "elif future.finished:", "elif False:")],
        CONSTANTS | {"PAUSES": 0, "YIELDS": 0},
    ),
    "a dropped row is closed once more": seeds(
        failing(2, "fllg", 0),
        [
            Patch(
                Engine.on_drop,
                "ledger.give_back(row, 1)",
                "self.give_back(row, message[H0], message[H1])",
            )
        ],
        n=3000,
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_bug_of_the_past_is_found(what):
    with pytest.raises(Failure) as found:
        FOUND[what]()
    print(found.value)


# ------------------------------------------------------------ orders too weak for another machine than x86-64

WEAK = {
    "publish": Patch(ring.publish, "store_release(", "store_relaxed(", NAMES),
    "front": Patch(ring.front, "tail = load_acquire(", "tail = load_relaxed(", NAMES),
    "release": Patch(ring.release, "store_release(", "store_relaxed(", NAMES),
    "claim": Patch(ring.claim, "load_acquire(", "load_relaxed(", NAMES),
}


@pytest.mark.parametrize("where", WEAK)
def test_an_order_that_is_too_weak_is_found_in_a_pass(where):
    with pytest.raises(Failure, match="race: "):
        hammer(SMALL_RINGS, range(100), patches=[WEAK[where]], slices=True, constants=CONSTANTS)
