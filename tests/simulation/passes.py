"""Backward passes over a simulated group: who calls, who serves, what must hold when a row says DONE, and after a kill."""

from functools import partial

from nbgrad.dist_autograd import ledger
from nbgrad.errors import BackwardError, WorkerDied
from nbgrad.rpc.message import GOODBYE, KIND, SOURCE
from nbgrad.shm import wire
from tests.simulation.group import BASE, CONTEXT, Group

HELLO = 99  # kind of the message that survivors of a death exchange


class Ended:
    """Every caller has said goodbye: what idle workers wait for."""

    def __init__(self, agent, callers):
        self.agent, self.left = agent, set(callers)
        agent.on(GOODBYE, self.on_goodbye)

    def on_goodbye(self, message):
        self.left.discard(message[SOURCE])

    @property
    def finished(self):
        return not self.left


class Passes:
    """A program: some workers call `backward`, all serve until every caller has said goodbye."""

    def __init__(self, machine, world, graph_of, ring_capacity=256, light=False, helpers=0):
        self.machine = machine
        self.group = Group(machine, world, ring_capacity, light)
        self.contexts = [agent.contexts.table[CONTEXT] for agent in self.group.agents]
        self.plans = {}  # caller's rank -> [(root tensors, expected gradients or None: it must fail)]
        self.expected = {}  # pass id -> gradients, or None
        self.graph = None
        graph_of(self)
        self.survivors, self.lingering = set(), set()
        for rank, agent in enumerate(self.group.agents):
            ended = Ended(agent, set(self.plans))
            name = f"worker{rank}"
            machine.spawn(name, lambda rank=rank, ended=ended: self.body(rank, ended))
            for k in range(helpers):
                machine.spawn(
                    f"{name}.{k + 2}", lambda a=agent, e=ended: a.wait(e, serving=True), name
                )
        self.watch_rows()

    def body(self, rank, ended):
        """One worker from start to end."""
        agent = self.group.agents[rank]
        try:
            for roots, expected in self.plans.get(rank, ()):
                self.call(agent, roots, expected)
            if rank in self.plans:
                ended.left.discard(rank)
                for other in range(agent.world):
                    if other != rank:
                        agent.post(other, 0, GOODBYE, 0, 0, 0, 0, 0, 0, (), None)
            agent.wait(ended, serving=True)
            if self.may_be_late():
                self.linger(agent)
        except WorkerDied:
            assert self.machine.dead, "a death was reported that did not happen"
            self.survive(agent)

    def call(self, agent, roots, expected):
        """One pass; `expected` None: it must raise."""
        context = agent.contexts.table[CONTEXT]
        new_id = type(agent.engine).new_id

        def noted():
            pass_id = new_id(agent.engine)
            self.expected[pass_id] = expected
            return pass_id

        agent.engine.new_id = noted
        try:
            agent.engine.backward(context, roots, True, ledger.AUTO, None)
        except BackwardError:
            assert expected is None, "the pass failed"
        else:
            assert expected is not None, "the pass should have failed"

    def may_be_late(self):
        """Whether messages of failed passes may come after the last goodbye."""
        return any(expected is None for plan in self.plans.values() for _, expected in plan)

    def linger(self, agent):
        """Handle what is late until all have come here, so that nobody waits for room in a ring for ever."""
        machine, ended = self.machine, self.lingering
        ended.add(agent.rank)
        while True:
            message = agent.next_message(agent.everybody)
            while message is not None:
                work = agent.handle(message)
                if work is not None:
                    work()
                message = agent.next_message(agent.everybody)
            if len(ended) == agent.world or machine.dead:
                return
            machine.wait_until(
                lambda: len(ended) == agent.world or machine.dead or self.group.unread(agent.rank)
            )

    # ------------------------------------------------------------ what must hold

    def watch_rows(self):
        """G1: at the very step that makes a row DONE, all gradients are there and no message is under way."""
        machine, place = self.machine, self.group.layout
        for caller in self.plans:
            for row in range(4):
                address = BASE + place.pass_row(caller, row)
                machine.watches[address >> 3] = lambda state, a=address: self.on_state(a, state)

    def on_state(self, row, state):
        if state & 255 != ledger.DONE:
            return
        get = self.machine.get
        pass_id = get((row + ledger.ID) >> 3)
        rank, use = pass_id >> 48, (pass_id >> 16) & 0xFFFF
        assert get((row + ledger.OUTSTANDING) >> 3) == 0, (
            f"pass {use} is DONE with units outstanding"
        )
        sums = {}
        for context in self.contexts:
            part = context.passes.get(pass_id)
            if part is not None:
                assert not part.queue, f"pass {use} is DONE with a message queued"
                sums |= self.graph.sums(part.leaves)
        expected = self.expected[pass_id]
        assert expected is not None, f"pass {use} is DONE although it failed"
        assert sums == expected, (
            f"pass {use} of worker {rank} is DONE with {sums}, one process gets {expected}"
        )

    def check(self):
        """At the end: gradients of all passes, and nothing left."""
        if self.machine.dead:
            return
        total = {}
        for plan in self.plans.values():
            for _, expected in plan:
                for name, value in (expected or {}).items():
                    total[name] = total.get(name, 0) + value
        sums = {}
        for rank, context in enumerate(self.contexts):
            context.merge_done()
            sums |= self.graph.sums(context.gradients)
            if not self.may_be_late():
                assert not self.group.unread(rank), f"messages are left for worker {rank}"
                assert not self.group.agents[rank].backlog
        assert sums == total, f"contexts hold {sums}, one process gets {total}"

    # ------------------------------------------------------------ after a death

    def survive(self, agent):
        """R3: every pair of survivors can still talk."""
        machine, rank = self.machine, agent.rank
        self.survivors.add(rank)
        workers = [t for t in machine.threads if t.name.startswith("worker")]
        alive = [t for t in workers if t.process not in machine.dead]
        machine.wait_until(lambda: all(t.done or int(t.name[6:]) in self.survivors for t in alive))
        peers, heard = self.survivors - {rank}, set()

        def listen():
            message = agent.take(agent.everybody)
            while message is not None:
                if message[KIND] == HELLO:
                    heard.add(message[SOURCE])
                message = agent.take(agent.everybody)

        for peer in sorted(peers):
            while agent.native_post(peer, 0, HELLO, 0, 0, 0, 0, 0, 0, (), None) != wire.SENT:
                listen()
                machine.wait_until(partial(self.may_try, rank, peer))
        listen()
        while heard != peers:
            machine.wait_until(lambda: self.group.unread(rank))
            listen()

    def may_try(self, rank, peer):
        """Something to pop, or all of the ring to `peer` is free."""
        return self.group.unread(rank) or not self.group.is_unread(rank, peer)
