"""The real doorbell under all schedules: nobody sleeps while a message lies there (B1 to B4), whoever knocks when."""

import pytest

from nbgrad.shm import atomics, bell, waiting, wire
from nbgrad.shm.layout import BELL, FRONT, SENDERS, SLEEP
from tests.simulation.explore import explore, hammer
from tests.simulation.group import BASE, CONSTANTS, Group, Lock
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

QUICK = CONSTANTS | {"PAUSES": 0, "YIELDS": 0}
KIND = 5


def post(agent, target, number):
    assert agent.native_post(target, 0, KIND, number, 0, 0, 0, 0, 0, (), None) == wire.SENT


def sleeper(n_senders, n_messages):
    """Worker 0 takes messages and sleeps on its bell in between; no slice ever ends by time."""

    def program(machine):
        group = Group(machine, 1 + n_senders, 1024)
        agents, got = group.agents, []

        def receives():
            agent = agents[0]
            while len(got) < n_senders * n_messages:
                message = agent.take(0)
                if message is not None:
                    got.append((message[0], message[2]))
                else:
                    agent.wait_bell(0)

        machine.spawn("worker0", receives)
        for rank in range(1, 1 + n_senders):
            machine.spawn(
                f"worker{rank}",
                lambda rank=rank: [post(agents[rank], 0, k) for k in range(n_messages)],
            )

        def check():
            for rank in range(1, 1 + n_senders):
                assert [k for source, k in got if source == rank] == list(range(n_messages))

        return check

    return program


@pytest.mark.parametrize(("n_senders", "n_messages"), [(1, 1), (1, 2), (1, 3), (2, 1)])
def test_no_wake_up_is_lost(n_senders, n_messages):
    report = explore(sleeper(n_senders, n_messages), constants=QUICK)
    print(f"{n_senders} senders x {n_messages}: {report}")


def test_no_wake_up_is_lost_among_many():
    print(hammer(sleeper(3, 4), range(300), constants=CONSTANTS))


def standby(n_messages, n_fronts=1):
    """Front threads take what is there and go away to compute; a standby thread takes the rest."""

    def program(machine):
        group = Group(machine, 2, 1024)
        agent, sender, got = group.agents[0], group.agents[1], []
        real, role = machine.of(bell), Lock(machine)

        def take_all():
            with role:
                message = agent.take(0)
                while message is not None:
                    got.append(message[2])
                    message = agent.take(0)
                real.put_back(agent.own)

        def front():
            take_all()
            real.leave(agent.own)

        def stands_by():
            while len(got) < n_messages:
                if agent.binding.wait_standby(0):
                    real.enter(agent.own)
                    take_all()
                    real.leave(agent.own)

        machine.put((agent.own + FRONT) >> 3, n_fronts)
        for k in range(n_fronts):
            machine.spawn(f"front{k}", front, "worker0")
        machine.spawn("standby", stands_by, "worker0", daemon=True)  # it may well sleep at the end
        machine.spawn("sender", lambda: [post(sender, 0, k) for k in range(n_messages)])

        def check():
            assert sorted(got) == list(range(n_messages)), (
                "a message lies there, and everybody sleeps or computes"
            )

        return check

    return program


@pytest.mark.parametrize("n_messages", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_somebody_takes_what_comes_when_the_front_leaves(n_messages):
    print(explore(standby(n_messages), constants=QUICK))


def test_somebody_takes_what_comes_when_two_leave_the_front():
    print(hammer(standby(3, 2), range(300), constants=QUICK))


def epoch(machine):
    """Two threads wait on the epoch for a word that a third one sets."""
    group = Group(machine, 1)
    agent, word = group.agents[0], BASE + 512
    real, words = machine.of(bell), group.words

    def waits():
        while True:
            seen = words.load(agent.epoch_word) & 0xFFFFFFFF
            if words.load(word):
                return
            agent.wait_epoch(seen, 0)

    def sets():
        words.store(word, 1)
        real.bump_epoch(agent.own)

    for k in range(2):
        machine.spawn(f"waiter{k}", waits, "worker0")
    machine.spawn("setter", sets, "worker0")


def test_nobody_sleeps_through_a_change_of_the_epoch():
    print(explore(epoch, constants=QUICK))


NAMES = {
    "BELL": BELL,
    "SENDERS": SENDERS,
    "SLEEP": SLEEP,
    "load32": atomics.load32,
    "store32": atomics.store32,
}
LOST = {
    "bits cleared after popping": [
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
    ],
    "bit before the record": [
        Patch(
            wire.commit,
            "    publish(ring, record)\n    knock(worker, bit)\n",
            "    knock(worker, bit)\n    publish(ring, record)\n",
        )
    ],
    "sleeps without comparing": [
        Patch(
            bell.fall_asleep,
            "return 1 if cas32(worker + BELL, 0, SLEEP) == 0 else 0",
            "if load32(worker + BELL) != 0:\n        return 0\n    store32(worker + BELL, SLEEP)\n    return 1",
            NAMES,
        )
    ],
    "nobody is woken": [Patch(bell.knock, "        wake(worker + BELL, 1)\n", "")],
}


@pytest.mark.parametrize("bug", LOST)
def test_planted_lost_wake_ups_are_found(bug):
    with pytest.raises(Failure) as found:
        explore(sleeper(1, 2), constants=QUICK, patches=LOST[bug])
    print(f"{bug}: {found.value}")
    assert "worker0" in str(found.value)


ALONE = {
    "leaves after looking": Patch(
        bell.leave,
        "    if fetch_add(worker + FRONT, -1) == 1:",
        "    bits = load32(worker + BELL)\n    if fetch_add(worker + FRONT, -1) == 1 and bits != 0:",
    ),
    "sender looks before its bit is set": Patch(
        bell.knock,
        "    if fetch_or32(",
        "    front = load(worker + FRONT)\n    if fetch_or32(",
    ),
    "standby counts itself after looking": Patch(
        waiting.wait_standby,
        "    fetch_add32(own + STANDBY + 4, 1)\n    fence()\n",
        "",
    ),
}


@pytest.mark.parametrize("bug", ALONE)
def test_planted_gaps_between_front_and_standby_are_found(bug):
    patches = [ALONE[bug]]
    if bug == "sender looks before its bit is set":
        patches.append(Patch(bell.knock, "if load(worker + FRONT) == 0 and", "if front == 0 and"))
    if bug == "standby counts itself after looking":
        patches.append(
            Patch(
                waiting.wait_standby,
                "    if came == 0:\n",
                "    fetch_add32(own + STANDBY + 4, 1)\n    if came == 0:\n",
            )
        )
    with pytest.raises(Failure):
        explore(standby(1), constants=QUICK, patches=patches)


def test_the_epoch_must_be_read_before_the_check():
    patch = Patch(
        bell.bump_epoch,
        "    fetch_add32(worker + EPOCH, 1)\n",
        "    fetch_add32(worker + EPOCH, 0)\n",
    )
    with pytest.raises(Failure, match="waiter"):
        explore(epoch, constants=QUICK, patches=[patch])
