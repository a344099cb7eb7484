"""The real ring under all schedules: R1 (once, whole, in order) and R3 (death), also where one record fills it."""

import pytest

from nbgrad.shm import atomics, ring
from tests.simulation.explore import explore, hammer
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

RING = 1 << 16


def stream(sizes, capacity):
    """A producer sends records of these sizes (bytes) to a consumer; each word of a record tells which one it is."""

    def program(machine):
        real = machine.of(ring)
        real.init(RING, capacity)
        machine.name_region(RING, 8, "tail")
        machine.name_region(RING + ring.HEAD, 8, "head")
        machine.name_region(RING, ring.size_bytes(capacity), "ring")
        got = []

        def producer():
            place = machine.allocate(64)
            for k, size in enumerate(sizes):
                for at in range(0, size, 8):
                    machine.private[place + at] = 100 * k + at
                seen = machine.written()
                while real.push(RING, place, size) == 0:
                    if machine.dead:
                        return
                    machine.wait_written(seen)
                    seen = machine.written()

        def consumer():
            place = machine.allocate(64)
            while len(got) < len(sizes):
                seen = machine.written()
                n_bytes = real.pop(RING, place)
                if n_bytes < 0 and machine.dead:
                    return
                if n_bytes < 0:
                    machine.here(len(got))
                    machine.wait_written(seen)
                else:
                    got.append([machine.private[place + at] for at in range(0, n_bytes, 8)])
                    machine.here(len(got))

        machine.spawn("producer", producer)
        machine.spawn("consumer", consumer)

        def check():
            sent = [[100 * k + at for at in range(0, size, 8)] for k, size in enumerate(sizes)]
            if machine.dead:  # what arrived is whole, and nothing was skipped
                assert got == sent[: len(got)]
            else:
                assert got == sent
                assert real.is_unread(RING) == 0

        return check

    return program


SHAPES = {
    "one record fills it": ([8, 8, 8, 8], 32),  # 16 bytes of 32: two fit, then the wrap
    "exactly one record": ([24, 24, 24], 32),
    "records that wrap": ([8, 24, 8, 16, 8], 64),
    "roomy": ([8] * 5, 1024),
}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_record_arrives_once_whole_and_in_order(shape, plain):
    sizes, capacity = SHAPES[shape]
    report = explore(stream(sizes, capacity), plain=plain)
    print(f"{shape}: {report}")
    assert report.schedules > 2


def test_a_killed_end_leaves_whole_records():
    """Killed between any two instructions: every access is a point here."""
    sizes, capacity = SHAPES["records that wrap"]
    report = hammer(stream(sizes, capacity), range(300), kill=lambda seed: True, plain=True)
    print(report)
    assert report.kills > 250


WEAK = {"store_relaxed": atomics.store_relaxed, "load_relaxed": atomics.load_relaxed}
PLANTED = {
    "published before the payload": Patch(
        ring.push,
        "    copy_bytes(record, source, n_bytes)\n    publish(ring, record)\n",
        "    publish(ring, record)\n    copy_bytes(record, source, n_bytes)\n",
    ),
    "released before it is read": Patch(
        ring.pop,
        "    copy_bytes(target, record, n_bytes)\n    release(ring, record)\n",
        "    release(ring, record)\n    copy_bytes(target, record, n_bytes)\n",
    ),
    "room for one byte too many": Patch(ring.claim, "> capacity", "> capacity + 8"),
    "skip not counted": Patch(ring.claim, "tail + skip + total", "tail + total"),
    "weak publish": Patch(ring.publish, "store_release(", "store_relaxed(", WEAK),
    "weak front": Patch(ring.front, "tail = load_acquire(", "tail = load_relaxed(", WEAK),
    "weak release": Patch(ring.release, "store_release(", "store_relaxed(", WEAK),
    "weak claim": Patch(ring.claim, "load_acquire(", "load_relaxed(", WEAK),
}


ONE_RECORD = {"released before it is read"}  # found where the producer waits for just these bytes


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug):
    program = stream([24] * 3, 32) if bug in ONE_RECORD else stream([16, 8, 24, 8], 64)
    with pytest.raises(Failure) as found:
        explore(program, patches=[PLANTED[bug]])
    print(f"{bug}: {found.value}")


@pytest.mark.parametrize("bug", ["published before the payload", "released before it is read"])
def test_interleaving_alone_finds_wrong_payloads(bug, monkeypatch):
    """Without clocks, by what is read: with plain accesses as points."""
    monkeypatch.setattr("tests.simulation.primitives.ordered", lambda *args: None)
    with pytest.raises(Failure):
        explore(stream([24] * 3, 32), patches=[PLANTED[bug]], plain=True)
