"""Several threads of one worker wait for messages (rpc/agent.py): no ready future is slept through, whoever has the role.

The real `Agent.wait`, `pop_until` and `drain` over the real doorbell and epoch; no slice ever ends by time.
"""

import pytest

from nbgrad.rpc.agent import Agent
from nbgrad.shm import bell
from tests.simulation.explore import explore, hammer
from tests.simulation.group import BASE, CONSTANTS, Group
from tests.simulation.machine import Failure
from tests.simulation.source import Patch

QUICK = CONSTANTS | {"PAUSES": 0, "YIELDS": 0}
REPLY, WORK = 5, 6


class Future:
    """What a thread waits for: a word, so that looking at it and setting it are steps."""

    def __init__(self, words, k):
        self.words, self.address = words, BASE + 512 + 64 * k

    @property
    def finished(self):
        return self.words.load(self.address) != 0

    def finish(self):
        self.words.store(self.address, 1)


class Task:
    """What a handler gives back to be run without the role."""

    def __init__(self, agent, future):
        self.agent, self.future = agent, future

    has_user_code = True

    def may_run_for(self, future):
        return True

    def __call__(self):
        self.future.finish()
        self.agent.changed()  # as rpc.future.Future.finish does


def waiting(n_threads, kind, by_word=False):
    """Threads of worker 0 wait, each for its own future; worker 1 finishes them by messages, or by shared memory."""

    def program(machine):
        group = Group(machine, 2, 1024)
        agent, sender = group.agents
        futures = [Future(group.words, k) for k in range(n_threads)]

        def on_reply(message):  # as rpc.calls does: nobody is told here
            futures[message[2]].finish()

        agent.on(REPLY, on_reply)
        agent.on(WORK, lambda message: Task(agent, futures[message[2]]))

        def sends():
            for k in range(n_threads):
                if by_word:
                    futures[k].finish()
                    machine.of(bell).rouse(agent.own, 2)
                else:
                    sender.native_post(0, 0, kind, k, 0, 0, 0, 0, 0, (), None)

        for k in range(n_threads):
            machine.spawn(f"thread{k}", lambda k=k: agent.wait(futures[k], serving=True), "worker0")
        machine.spawn("worker1", sends)

    return program


def in_turn(n_threads, by_word=False):
    """As `waiting`, but each reply comes only after the thread of the one before has gone on and said so."""

    def program(machine):
        group = Group(machine, 2, 1024)
        agent, sender = group.agents
        futures = [Future(group.words, k) for k in range(2 * n_threads)]

        def on_reply(message):
            futures[message[2]].finish()

        agent.on(REPLY, on_reply)
        sender.on(REPLY, on_reply)

        def waits(k):
            agent.wait(futures[k], serving=True)
            agent.native_post(1, 0, REPLY, n_threads + k, 0, 0, 0, 0, 0, (), None)

        def sends():
            for k in range(n_threads):
                if by_word:
                    futures[k].finish()
                    machine.of(bell).rouse(agent.own, 2)
                else:
                    sender.native_post(0, 0, REPLY, k, 0, 0, 0, 0, 0, (), None)
                sender.wait(futures[n_threads + k], serving=True)

        for k in range(n_threads):
            machine.spawn(f"thread{k}", lambda k=k: waits(k), "worker0")
        machine.spawn("worker1", sends)

    return program


def test_one_thread_under_all_schedules():
    print(explore(waiting(1, REPLY), constants=QUICK))
    print(explore(waiting(1, WORK), constants=QUICK))
    print(explore(waiting(1, REPLY, by_word=True), constants=QUICK))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_threads_under_all_schedules():
    print(explore(waiting(2, REPLY), constants=QUICK))


@pytest.mark.parametrize("by_word", [False, True])
@pytest.mark.parametrize("kind", [REPLY, WORK])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_several_threads(n_threads, kind, by_word):
    print(hammer(waiting(n_threads, kind, by_word), range(200), constants=QUICK))


@pytest.mark.parametrize("by_word", [False, True])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_that_need_each_other(n_threads, by_word):
    print(hammer(in_turn(n_threads, by_word), range(200), constants=QUICK))


SILENT = {
    "the holder of the role does not tell the others": (
        Patch(Agent.pop_until, "elif handled:", "elif False:"),
        in_turn(2),
    ),
    "the holder of the role does not look again": (
        Patch(Agent.pop_until, "elif future.finished:", "elif False:"),
        waiting(1, REPLY, by_word=True),
    ),
    "the role is looked at before the epoch is read": (
        Patch(Agent.wait, "future.finished or not role.locked()", "future.finished"),
        waiting(2, REPLY),
    ),
    "the role is left in silence": (
        Patch(Agent.leave_role, "    bell.bump_epoch(self.own)\n", ""),
        waiting(2, REPLY),
    ),
    "a change moves no epoch": (
        Patch(bell.rouse, "    bump_epoch(worker)\n", ""),
        in_turn(2, by_word=True),
    ),
}


@pytest.mark.parametrize("bug", SILENT)
def test_planted_silence_is_found(bug):
    patch, program = SILENT[bug]
    with pytest.raises(Failure, match="wait for ever") as found:
        hammer(program, range(1000), constants=QUICK, patches=[patch])
    print(found.value)
