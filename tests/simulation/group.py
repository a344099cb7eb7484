"""A simulated group: nbgrad's real agents, engines and wire over one simulated segment.

What is real: shm/ (ring, bell, waiting, arena, wire), dist_autograd/ (ledger, engine, part), rpc/agent.py, and how deaths are
noted (group/control.py).  What is not: processes, Python objects in messages (objects.py), serving threads and sessions.
"""

import sys
import traceback
from types import SimpleNamespace

from nbgrad.dist_autograd import ledger
from nbgrad.dist_autograd.context import Context
from nbgrad.dist_autograd.deliver import deliver
from nbgrad.dist_autograd.engine import Engine
from nbgrad.dist_autograd.walk import walk
from nbgrad.errors import BackwardError, WorkerDied
from nbgrad.group import control
from nbgrad.rpc import agent as rpc_agent
from nbgrad.rpc.interrupts import of_others
from nbgrad.shm import arena, layout, ring
from tests.simulation.bindings import BASE, Binding, LightBinding
from tests.simulation.objects import Objects

CONTEXT = 7  # the context of all passes, unless a test makes more


class Lock:
    """A lock of one process; trying it is a step that its other threads could notice."""

    def __init__(self, machine):
        self.machine, self.word, self.holder = machine, machine.allocate(8) >> 3, None

    def acquire(self, blocking=True):
        machine = self.machine
        if machine.current is None:  # set-up and final checks are alone
            return True
        machine.point(self.word, True)
        if blocking:
            machine.wait_until(lambda: self.holder is None)
        elif self.holder is not None:
            machine.saw("taken")
            return False
        self.holder = machine.current
        machine.clocks.acquire(self.holder.number, self)
        return True

    def release(self):
        if self.machine.current is None:
            return
        self.machine.point(self.word, True)
        self.machine.clocks.release(self.machine.current.number, self)
        self.holder = None

    def locked(self):
        self.machine.point(self.word, False)
        return self.machine.saw(self.holder is not None)

    def __enter__(self):
        self.acquire()

    def __exit__(self, *error):
        self.release()


class Session:
    """What an agent asks of its group."""

    def __init__(self, group, rank):
        self.group, self.rank, self.world, self.layout = (
            group,
            rank,
            group.layout.world,
            group.layout,
        )
        self.names = [f"worker{k}" for k in range(self.world)]
        self.segment = SimpleNamespace(address=BASE, size_bytes=group.layout.size_bytes)

    def check_process(self):
        """Nobody forks here."""

    def give_up(self):
        self.group.note_death(BASE, self.layout, self.rank, 2)

    def check(self):
        dead = self.group.words.load(BASE + layout.FAILED) - 1
        if dead >= 0:
            raise WorkerDied(f"worker {dead}")


class Serving:
    """No serving threads: the one thread of a worker runs everything."""

    def __init__(self, agent):
        pass

    next_deadline = float("inf")

    def slice(self, is_first=False):
        return 5_000_000

    def entered_wait(self):
        pass

    left_wait = check_deadlines = wake = entered_wait

    def submit(self, work):
        work()


class Planted(Exception):
    """What a node raises on purpose."""


def raise_failure(records, originals, context_id):
    raise BackwardError(f"{len(records)} failed")


CONSTANTS = {
    "Serving": Serving,
    "Departures": lambda session: SimpleNamespace(mask=lambda: 0),  # nobody leaves
    "agents": [],
    "PAUSES": 1,
    "YIELDS": 1,
    "thread": SimpleNamespace(context=None),  # the context that a real thread is in
    "set_enabled": lambda enabled: True,
    "raise_failure": raise_failure,
    "holder": lambda: of_others,  # nobody presses Ctrl-C
    "get_ident": lambda: 0,
    "ready_walk": lambda: walk,
    "ready_deliver": lambda: deliver,
}
# For programs whose messages go by LightBinding: nobody looks at a doorbell, so nobody rings it.
LIGHT = CONSTANTS | {"knock": lambda worker, bit: 0}


class Group:
    """`world` workers of a machine, each with its part of one context."""

    def __init__(self, machine, world, ring_capacity=256, light=False):
        self.machine, self.light = machine, light
        self.layout = layout.Layout(world, ring_capacity, 1 << 20)
        machine.group = (
            self  # functions are built once, so their constants look up the group of this run
        )
        machine.constants["pack_failure"] = lambda *args: machine.group.pack_failure(*args)
        machine.constants["Binding"] = lambda segment, layout, rank: machine.group.binding(rank)
        machine.constants["threading"] = SimpleNamespace(Lock=lambda: Lock(machine))
        self.objects = Objects(machine)
        self.words, self.ledger = machine.of(rpc_agent.words), machine.of(ledger)
        self.name_regions()
        control_ = machine.source
        self.note_death = control_.replaced(control.note_death)
        for source in range(world):
            for target in range(world):
                machine.of(ring).init(BASE + self.layout.ring(source, target), ring_capacity)
            machine.of(arena).init(BASE + self.layout.arena(source), self.layout.arena_bytes)
        self.agents = [self.agent(rank) for rank in range(world)]
        machine.on_timeout = self.must_not_sleep
        self.passes = {}  # address of a row -> what to check when it becomes DONE

    def binding(self, rank):
        return (LightBinding if self.light else Binding)(self, rank)

    def position(self, rank):
        """What a worker that waits for messages depends on: Note [Simulated memory] M2.

        Where its code stands, what it has popped, and what of that its parts have handled.
        """
        agent, stack = self.agents[rank], []
        frame = sys._getframe(2)
        while frame is not None:
            stack.append(frame.f_lasti)
            if frame.f_code.co_name == "pop_until":
                stack += [v for v in frame.f_locals.values() if type(v) in (int, bool)]
            frame = frame.f_back
        parts = [
            (
                key,
                part.contacted,
                part.asked,
                part.busy.holder is not None,
                len(part.queue),
                len(part.served),
                len(part.declared),
                len(part.leaves),
            )
            + tuple(entry[0] for entry in part.table.values())
            for key, part in agent.contexts.table[CONTEXT].passes.items()
        ]
        engine = agent.engine
        rows = tuple(engine.free), tuple(engine.failed_rows), engine.n_rows
        return (
            rank,
            tuple(stack),
            agent.binding.log,
            agent.binding.n_posts,
            len(agent.backlog),
            tuple(parts),
            rows,
        )

    def pack_failure(self, error, node, in_hook, agent):
        """A record of a few bytes (real ones do not fit into the rings here); an error that no test planted is one."""
        if not isinstance(error, Planted | WorkerDied):
            self.machine.broken = "".join(traceback.format_exception(error))
        return b"planted"

    def name_regions(self):
        place, world, name = self.layout, self.layout.world, self.machine.name_region
        for rank in range(world):
            worker = BASE + place.worker(rank)
            for offset, n_bytes, what in (
                (layout.BELL, 8, "bell"),
                (layout.STANDBY, 8, "standby"),
                (layout.FRONT, 8, "front"),
                (layout.BUSY, 8, "busy"),
                (layout.EPOCH, 8, "epoch"),
                (layout.POISON, 8, "poison"),
            ):
                name(worker + offset, n_bytes, f"{what} of {rank}")
            name(worker, layout.PAGE, f"block of {rank}")
            name(BASE + place.arena(rank), place.arena_bytes, f"arena of {rank}")
            for row in range(4):
                where = BASE + place.pass_row(rank, row)
                fields = ("state", "outstanding", "unserved", "touched", "phase", "id", "mode")
                for k, what in enumerate(fields):
                    name(where + 8 * k, 8, f"{what} of row {rank}.{row}")
            for target in range(world):
                where = BASE + place.ring(rank, target)
                name(where, 8, f"tail of {rank}->{target}")
                name(where + ring.HEAD, 8, f"head of {rank}->{target}")
                name(where, ring.size_bytes(place.ring_capacity), f"ring {rank}->{target}")
        name(BASE, layout.PAGE, "header")

    def agent(self, rank):
        """The real agent, with simulated surroundings."""
        made = self.machine.source.replaced(rpc_agent.Agent)(Session(self, rank))
        contexts = {CONTEXT: Context(CONTEXT, 0)}
        contexts[CONTEXT].lock = Lock(self.machine)  # a real one would stop the simulator itself
        made.contexts = SimpleNamespace(table=contexts, get=contexts.get)
        made.engine = self.machine.source.replaced(Engine)(made, made.contexts)
        return made

    def is_unread(self, source, target):
        where = BASE + self.layout.ring(source, target) >> 3
        return self.machine.get(where) != self.machine.get(where + ring.HEAD // 8)

    def unread(self, target):
        """Who has sent something to the worker that it has not popped."""
        return [source for source in range(self.layout.world) if self.is_unread(source, target)]

    def must_not_sleep(self, thread):
        """A slice ends by time: no message may have waited for that."""
        for rank in range(self.layout.world):
            bell = BASE + self.layout.worker(rank) + layout.BELL
            if thread.asleep == bell:
                assert not self.unread(rank), (
                    f"{thread.name} sleeps although {self.unread(rank)} have sent it something"
                )

    def spawn_supervisor(self):
        """Notes the death of a worker, as the supervisor of a real group does."""
        machine = self.machine

        def watch():
            machine.wait_until(lambda: bool(machine.dead))
            rank = int(next(iter(machine.dead)).removeprefix("worker"))
            self.note_death(BASE, self.layout, rank, 266)

        machine.spawn("supervisor", watch, daemon=True)
