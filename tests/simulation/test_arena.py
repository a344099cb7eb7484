"""The real arena and its holders word under all schedules, alone and below messages: V1 (value), V3 (once), A1 (no ABA), P2.

A block is freed once, by whoever gives up the last holder; nobody writes while a snapshot exists; nobody reads freed memory.
"""

import pytest

from nbgrad.shm import arena, atomics, record, wire
from tests.simulation.explore import explore, hammer
from tests.simulation.group import BASE, CONSTANTS, Group
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

ARENA, SIZE = 1 << 20, 1 << 20
FIRST = 1  # generation of a block that is used for the first time
LO, HI = arena.HEADER, arena.HEADER + 8  # two words of a payload


def new_arena(machine):
    real = machine.of(arena)
    real.init(ARENA, SIZE)
    real.set_committed(ARENA, SIZE)
    machine.name_region(ARENA, 8, "return list")
    machine.name_region(ARENA, SIZE, "arena")
    return real


def new_block(machine, real, holders=1):
    block = real.allocate(ARENA, 4096)
    for _ in range(holders - 1):
        assert real.hold(block, FIRST)
    machine.name_region(block + arena.HOLDERS, 8, f"holders of {block - ARENA}")
    return block


def free_blocks(machine):
    """Offsets of all blocks in the return list and in the free lists, as often as they are there."""
    found = []
    for head in (ARENA, *[ARENA + arena.LISTS + 8 * k for k in range(arena.N_CLASSES)]):
        at = machine.get(head >> 3)
        while at and len(found) < 100:
            found.append(at)
            at = machine.get((ARENA + at) >> 3)
    return found


# ------------------------------------------------------------ one block: writers and snapshots


def copy_on_write(n_sharers, n_writes=1):
    """The owner writes in place where it may; others take snapshots, read them twice and give them back."""

    def program(machine):
        real = new_arena(machine)
        block = new_block(machine, real)

        def owner():
            for k in range(1, 1 + n_writes):
                if real.begin_write(block):
                    machine.write(block + LO, k)
                    machine.write(block + HI, k)
                    real.end_write(block)

        def sharer():
            seen = machine.written()
            while not real.hold(block, FIRST):
                machine.wait_written(seen)
                seen = machine.written()
            value = machine.read(block + LO), machine.read(block + HI)
            assert value[0] == value[1], f"a torn snapshot: {value}"
            assert value == (machine.read(block + LO), machine.read(block + HI)), (
                "a snapshot changed"
            )
            assert real.release(block, FIRST) > 0, "the owner's holder is gone"

        machine.spawn("owner", owner)
        for k in range(n_sharers):
            machine.spawn(f"sharer{k}", sharer)

        def check():
            assert real.holders(block) == 1
            assert free_blocks(machine) == []

        return check

    return program


@pytest.mark.parametrize("plain", [False, True])
def test_a_snapshot_never_changes(plain):
    print(explore(copy_on_write(1, 2), plain=plain))


def test_snapshots_never_change():
    print(explore(copy_on_write(2, 1)))
    print(hammer(copy_on_write(3, 4), range(200)))


NAMES = {"load": atomics.load, "store": atomics.store, "fetch_add": atomics.fetch_add}
TORN = {
    "checks, then writes": [
        Patch(
            arena.begin_write,
            "return 1 if cas(block + HOLDERS, word, word | WRITING) == word else 0",
            "store(block + HOLDERS, word | WRITING)\n    return 1",
            NAMES,
        )
    ],
    "checks, then adds a holder": [
        Patch(
            arena.hold,
            "if cas(block + HOLDERS, word, word + 1) == word:",
            "if fetch_add(block + HOLDERS, 1) > 0:",
            NAMES,
        )
    ],
    "does not look at WRITING": [
        Patch(arena.hold, "if word & WRITING != 0:", "if word == 0:"),
    ],
}


@pytest.mark.parametrize("bug", TORN)
def test_planted_torn_snapshots_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(copy_on_write(1, 1), patches=TORN[bug])
    print(f"{bug}: {found.value}")


# ------------------------------------------------------------ many blocks: given back and used again


def recycling(n_blocks, n_givers, n_again):
    """Each block has a holder per giver and one of the owner, which allocates again meanwhile."""

    def program(machine):
        real = new_arena(machine)
        blocks = [new_block(machine, real, 1 + n_givers) for _ in range(n_blocks)]
        for block in blocks:
            machine.write(block + LO, 1)
        live = []

        def giver():
            for block in blocks:
                assert machine.read(block + LO) == 1, "freed memory was read"
                assert real.release(block, FIRST) >= 0, "a holder too many was given up"

        def owner():
            for block in blocks:
                assert real.release(block, FIRST) >= 0, "a holder too many was given up"
            for _ in range(n_again):
                block = real.allocate(ARENA, 4096)
                assert block > 0
                assert block not in live, "a block was handed out twice"
                live.append(block)
                machine.write(block + LO, 2)
                machine.write(block + HI, len(live))

        machine.spawn("owner", owner)
        for k in range(n_givers):
            machine.spawn(f"giver{k}", giver)

        def check():
            found = free_blocks(machine)
            assert len(found) == len(set(found)), f"freed twice: {found}"
            assert not {ARENA + at for at in found} & set(live), "free and in use"
            used = {block - ARENA for block in blocks} | {block - ARENA for block in live}
            assert set(found) == used - {block - ARENA for block in live}, "a block is lost"
            for k, block in enumerate(live):
                assert (machine.get((block + LO) >> 3), machine.get((block + HI) >> 3)) == (
                    2,
                    k + 1,
                )

        return check

    return program


@pytest.mark.parametrize("shape", [(1, 2, 1), (2, 1, 2), (2, 2, 1)])
def test_blocks_come_back_once(shape):
    print(f"{shape}: {explore(recycling(*shape))}")


def test_blocks_come_back_once_among_many():
    print(hammer(recycling(3, 3, 4), range(300)))
    print(hammer(recycling(3, 2, 4), range(200), plain=True))


LOST = {
    "two may be the last": Patch(
        arena.release,
        "if cas(block + HOLDERS, word, word - 1) == word:\n            break",
        "store(block + HOLDERS, word - 1)\n        break",
        NAMES,
    ),
    "push without comparing": Patch(
        arena.push_return,
        "found = cas(arena, head, offset)",
        "store(arena, offset)\n        found = head",
        NAMES,
    ),
    "next word written too late": Patch(
        arena.push_return,
        "        poke(block, head)\n        found = cas(arena, head, offset)\n",
        "        found = cas(arena, head, offset)\n        poke(block, head)\n",
    ),
    "list read, then cleared": Patch(
        arena.sort_returns,
        "offset = exchange(arena, 0)",
        "offset = load(arena)\n    store(arena, 0)",
        NAMES,
    ),
}


@pytest.mark.parametrize("bug", LOST)
def test_planted_losses_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(
            recycling(2, 1, 2) if bug != "two may be the last" else recycling(1, 2, 1),
            patches=[LOST[bug]],
        )
    print(f"{bug}: {found.value}")


# ------------------------------------------------------------ blocks below messages


def sending(n_receivers, n_words=2, writes=True):
    """The owner sends an array in place, may then write it, and gives it up; the receivers read it and give it up."""

    def program(machine):
        group = Group(machine, 1 + n_receivers, 1024)
        objects, real, real_wire = group.objects, machine.of(arena), machine.of(wire)
        place = BASE + group.layout.arena(0)
        real.set_committed(place, 1 << 18)
        block = real.allocate(place, 4096)
        machine.name_region(block + arena.HOLDERS, 8, "holders")
        data = block + arena.HEADER

        def write(value):
            for k in range(n_words):
                machine.write(data + 8 * k, value)

        write(7)

        def owner():
            binding = group.agents[0].binding
            array = objects.array((n_words,), data, base=objects.capsule_of(block))
            for rank in range(1, 1 + n_receivers):
                assert binding.post(rank, 0, 5, 0, 0, 0, 0, 0, 0, (array,), None) == wire.SENT
            if writes and real.begin_write(block):
                write(8)
                real.end_write(block)
            real_wire.drop_block(objects.base(array))
            again = real.allocate(place, 4096)  # perhaps the same block
            machine.write(again + arena.HEADER, 9)

        def receiver(rank):
            binding = group.agents[rank].binding
            message = binding.take_objects(0)
            while message is None:
                binding.wait_bell(0)
                message = binding.take_objects(0)
            kind, what = (objects.values[message[k]] for k in (1, 2))
            assert kind == 5, f"a message is broken: {what}"
            [array] = message[-2]
            assert objects.get(array + 16) == data, "it was copied"
            assert objects.contents(array) == [7] * n_words, "the value changed after it was sent"
            real_wire.drop_block(objects.base(array))

        machine.spawn("worker0", owner)
        for rank in range(1, 1 + n_receivers):
            machine.spawn(f"worker{rank}", lambda rank=rank: receiver(rank))

        def check():
            in_use = real.holders(block)
            assert in_use in (0, 1), f"{in_use} holders at the end"
            assert not objects.get(objects.name + record.FAULT), "a holder too many was given back"

        return check

    return program


IN_PLACE = CONSTANTS | {"MAX_INLINE": 8, "PAUSES": 0, "YIELDS": 0}


def test_a_sent_value_is_what_it_was():
    print(explore(sending(1), constants=IN_PLACE))


def test_a_value_sent_to_two_is_what_it_was():
    print(hammer(sending(2), range(300), constants=IN_PLACE))


NO_HOLDER = [Patch(wire.post, "            hold(found, peek(capsule + CONTEXT))\n", "")]
SENT = {
    "holder after the message": [
        *NO_HOLDER,
        Patch(
            wire.post,
            "    return to_int(SENT)\n",
            "    if found != 0:\n        hold(found, peek(capsule + CONTEXT))\n    return to_int(SENT)\n",
        ),
    ],
    "checks, then writes": TORN["checks, then writes"],
    "writes although others hold it": [
        Patch(
            arena.begin_write,
            "if word & (COUNT | WRITING) != 1:",
            "if word & (COUNT | WRITING) != 2:",
        )
    ],
}


UNCHECKED = {  # the two checks, taken away
    "generation": Patch(
        record.fault_of,
        "if generation(segment + place) != peek(at + 16):",
        "if generation(segment + place) < 0:",
    ),
    "holders": Patch(
        arena.release,
        "if word >> 32 & GENERATIONS != holder or word & COUNT == 0 or word & WRITING != 0:",
        "if word < 0:",
    ),
    "holders of another generation": Patch(
        arena.release, "word >> 32 & GENERATIONS != holder or word & COUNT", "word & COUNT"
    ),
}


@pytest.mark.parametrize("is_checked", [True, False])
def test_a_block_that_has_gone_on_is_not_taken(is_checked, monkeypatch):
    """Its message has no holder (a planted bug), so the block may hold another array when the message is taken."""
    monkeypatch.setattr("tests.simulation.primitives.ordered", lambda *args: None)
    patches = NO_HOLDER if is_checked else [*NO_HOLDER, UNCHECKED["generation"]]
    says = f"a message is broken: {record.STALE}" if is_checked else "the value changed after"
    with pytest.raises(Failure, match=says) as found:
        explore(sending(1, writes=False), constants=IN_PLACE, patches=patches)
    print(found.value)


def giving_back(n_times, is_noted=True):
    """Two arrays over a block go, the second `n_times`; the owner allocates the block again, and the new array must live."""

    def program(machine):
        group = Group(machine, 2, 1024)
        objects, real, real_wire = group.objects, machine.of(arena), machine.of(wire)
        place = BASE + group.layout.arena(0)
        real.set_committed(place, 1 << 18)
        block = real.allocate(place, 4096)
        real.hold(block, FIRST)
        first, second = objects.capsule_of(block), objects.capsule_of(block)

        def owner():
            real_wire.drop_block(first)
            again = real.allocate(place, 4096)
            third = real.allocate(place, 4096)
            assert again != third, "a block was handed out twice"
            assert real.holders(again) == real.holders(third) == 1, "a living array lost its block"

        def other():
            for _ in range(n_times):
                real_wire.drop_block(second)

        machine.spawn("worker0", owner)
        machine.spawn("worker1", other)

        def check():
            found = free_blocks(machine)
            assert len(found) == len(set(found)), f"freed twice: {found}"
            n_noted = int(objects.get(objects.name + record.FAULT) != 0)
            if is_noted:
                assert n_noted == n_times - 1
            if n_noted:
                assert objects.get(objects.name + record.FAULT_BLOCK) == block

        return check

    return program


def test_a_holder_that_is_given_back_twice_is_noted_and_changes_nothing(monkeypatch):
    print(explore(giving_back(1), constants=CONSTANTS))
    monkeypatch.setattr("tests.simulation.primitives.ordered", lambda *args: None)
    print(explore(giving_back(2), constants=CONSTANTS))
    for bug in ("holders", "holders of another generation"):
        with pytest.raises(Failure, match="lost its block|freed twice") as found:
            explore(giving_back(2, False), constants=CONSTANTS, patches=[UNCHECKED[bug]])
        print(found.value)


@pytest.mark.parametrize("bug", [bug for bug in SENT if bug != "checks, then writes"])
def test_planted_bugs_below_messages_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(sending(1), constants=IN_PLACE, patches=SENT[bug])
    print(f"{bug}: {found.value}")
