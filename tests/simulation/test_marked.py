"""The bugs that nbgrad's notes mark with (!): each was a mistake of an earlier draft, and each must be found when it is planted.

Most are planted where their part is tested; here are the others, and the list of all.
"""

from collections import deque
from weakref import WeakKeyDictionary

import pytest

from nbgrad.dist_autograd import context_rows
from nbgrad.dist_autograd.part import Part
from nbgrad.rpc.agent import Agent
from tests.simulation import test_arena, test_context_rows, test_planted, test_role
from tests.simulation.explore import explore, hammer
from tests.simulation.group import CONSTANTS, Group, Serving
from tests.simulation.machine import Failure
from tests.simulation.programs import random_passes
from tests.simulation.source import Patch
from tests.simulation.test_context_rows import release_while_joining
from tests.simulation.test_role import REPLY, WORK, Future

QUICK = CONSTANTS | {"PAUSES": 0, "YIELDS": 0}


# ------------------------------------------------------------ user code on a thread that waits inside user code


class Pool(Serving):
    """Requests go to a queue, for a thread of their own."""

    def __init__(self, agent):
        self.queue = deque()

    def submit(self, work):
        self.queue.append(work)


class UserCode:
    """A request whose function waits for what only another thread of its worker will do."""

    def __init__(self, agent, future):
        self.agent, self.future = agent, future

    has_user_code = True

    def may_run_for(self, waited):
        return False

    def __call__(self):
        self.agent.wait(self.future)


def meeting(machine):
    """Thread 0 of worker 0 waits for a reply, and then sets what a request that comes before that reply waits for."""
    group = Group(machine, 2, 1024)
    agent, sender = group.agents
    replied, done, ran = (Future(group.words, k) for k in range(3))
    agent.on(REPLY, lambda message: replied.finish())
    agent.on(WORK, lambda message: UserCode(agent, done))

    def waits():
        agent.wait(replied)
        done.finish()
        agent.changed()

    def serves():
        queue = agent.serving.queue
        machine.wait_until(lambda: queue)
        queue.popleft()()
        ran.finish()

    def sends():
        for kind in (WORK, REPLY):
            sender.native_post(0, 0, kind, 0, 0, 0, 0, 0, 0, (), None)

    machine.spawn("thread0", waits, "worker0")
    machine.spawn("serving", serves, "worker0")
    machine.spawn("worker1", sends)

    def check():
        assert ran.finished

    return check


POOL = QUICK | {"Serving": Pool}


def test_a_thread_that_waits_inside_user_code_runs_none():
    print(hammer(meeting, range(300), constants=POOL))


# ------------------------------------------------------------ the bugs

WRONG = rf"{test_planted.WRONG_END}|Error"
TABLES: WeakKeyDictionary = WeakKeyDictionary()
TWO_CALLERS = random_passes(2, 12, callers=(0, 1), n_passes=2)


def all_schedules(program, patch):
    return lambda: explore(program, patches=[patch])


def seeds(program, patch, constants=CONSTANTS):
    slices = constants is CONSTANTS
    return lambda: hammer(program, range(300), patches=[patch], slices=slices, constants=constants)


MARKED = {
    "user code runs on a thread that waits inside user code": (
        seeds(
            meeting,
            Patch(
                Agent.run,
                "not serving and work.has_user_code and (not work.may_run_for(waited))",
                "False",
            ),
            POOL,
        ),
        "wait for ever",
    ),
    "a late message resurrects a released context": (
        all_schedules(
            release_while_joining(1),
            Patch(context_rows.is_open, "word & RELEASING == 0 and ", ""),
        ),
        "resurrect|race: read of id",
    ),
    "counts are kept with the nodes, for all passes": (
        seeds(
            TWO_CALLERS,
            Patch(
                Part.__init__,
                "self.table: dict = {}",
                "self.table = TABLES.setdefault(engine, {})",
                {"TABLES": TABLES},
            ),
        ),
        WRONG,
    ),
    "a pair that was served once is retired": (
        seeds(
            TWO_CALLERS,
            Patch(
                Part.on_grad,
                "served.add(message_id)",
                "served.add(message_id)\n    self.context.sends.pop(message_id, None)",
            ),
        ),
        WRONG,
    ),
}


@pytest.mark.parametrize("bug", MARKED)
def test_marked_bug_is_found(bug):
    search, says = MARKED[bug]
    with pytest.raises(Failure, match=says) as found:
        search()
    print(found.value)


LISTED = {  # every (!) of the notes, and more: where it is planted
    "check, then write": test_planted.SEARCHES,
    "rings of one message without draining": test_planted.SEARCHES,
    "doorbell bits cleared after popping": test_planted.SEARCHES,
    "ledger row per context": test_planted.SEARCHES,
    "count after publish": test_planted.SEARCHES,
    "publish before payload": test_planted.SEARCHES,
    "decrement before children are counted": test_planted.SEARCHES,
    "a bit without a record is taken, and its worker sleeps": test_planted.FOUND,
    "a dropped row is closed once more": test_planted.FOUND,
    "holder after the message": test_arena.SENT,
    "generation": test_arena.UNCHECKED,
    "holders": test_arena.UNCHECKED,
    "two may be the last": test_arena.LOST,
    "the role is left in silence": test_role.SILENT,
    "joins without comparing": test_context_rows.PLANTED,
} | dict.fromkeys(MARKED, MARKED)


@pytest.mark.parametrize("bug", LISTED)
def test_the_bug_is_planted(bug):
    assert any(name == bug or name.startswith(f"{bug}, ") for name in LISTED[bug])
