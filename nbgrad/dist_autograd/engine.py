"""Engine: starts, ends and fails distributed backward passes; the work of one worker in one pass is a Part.

caller: open row, first contact, seeds ──► GRAD messages between parts ──► unit counter at 0 ──► close row ──► wake caller
"""

import contextlib
import functools
import itertools
import time
from collections import deque
from threading import get_ident
from typing import Any, NoReturn

from nbgrad.dist_autograd import ledger
from nbgrad.dist_autograd.context import Contexts
from nbgrad.dist_autograd.context_rows import MASK, WORD
from nbgrad.dist_autograd.deliver import ready_deliver
from nbgrad.dist_autograd.failure import pack_failure, raise_failure
from nbgrad.dist_autograd.part import Part
from nbgrad.dist_autograd.settle import open_round
from nbgrad.dist_autograd.walk import ready_walk
from nbgrad.errors import (
    ContextError,
    FastModeError,
    NbgradError,
    ProtocolError,
    SharedMemoryFull,
)
from nbgrad.rpc.fault import WHY
from nbgrad.rpc.future import timeout_error
from nbgrad.rpc.hung import stopped
from nbgrad.rpc.interrupts import HELD, OPEN, of_main, of_others
from nbgrad.rpc.message import (
    DROP_PASS,
    EXTRA,
    FAILURE,
    GRAD,
    H0,
    H1,
    KIND,
    LETTER,
    REPORT,
    SOURCE,
)
from nbgrad.shm import bell, words
from nbgrad.shm.layout import PASS_BYTES, PASSES

NEXT_USE = 1 << 16  # from the id of a pass to that of the next one in its row


class Running:
    """A pass that this worker called; what its thread waits for."""

    __slots__ = ("context_row", "deadline", "failures", "originals", "reports", "row", "session")
    text = "a distributed backward pass"

    def __init__(self, session: Any, row: int, context_row: int, deadline: float):
        self.session = session
        self.row, self.context_row, self.deadline = row, context_row, deadline
        self.failures: list = []
        self.originals: dict = {}  # record of a failure of this worker -> the exception
        self.reports: list = []

    @property
    def finished(self) -> bool:
        if ledger.status(self.row) != ledger.RUNNING:
            return True
        if self.deadline and time.monotonic() > self.deadline:
            raise timeout_error(
                "the backward pass did not end before its timeout; it is dropped on all workers.",
                stopped(self.session),
            )
        return False

    @property
    def targets(self) -> int:
        """Mask of the context's workers: the pass may need any of them, and one that has left the group ends it."""
        return words.load(self.context_row + WORD) & MASK


class Engine:
    """The passes of one agent."""

    def __init__(self, agent: Any, contexts: Contexts):
        self.agent, self.contexts = agent, contexts
        self.free: deque = deque()  # ids of passes whose rows can be used again
        self.failed_rows: deque = (
            deque()
        )  # (pass id, told): rows whose parts must be dropped before reuse
        self.n_rows = 0
        session = agent.session
        self.first_row = session.segment.address + session.layout.pass_row(0, 0)
        self.new_rows = itertools.count()
        self.running: dict[int, Running] = {}
        self.walk, self.deliver = ready_walk(), ready_deliver()
        for kind in (GRAD, LETTER):
            agent.on(kind, self.on_message)
        agent.on(FAILURE, self.on_failure)
        agent.on(REPORT, self.on_report)
        agent.on(DROP_PASS, self.on_drop)

    def address(self, pass_id: int) -> int:
        return self.first_row + ((pass_id >> 48) * PASSES + (pass_id & 0xFFFF)) * PASS_BYTES

    def row_of(self, message: tuple) -> int:
        """Address of the row of the pass that a message belongs to; it has that row while the message exists (G4).

        Raises
        ------
        ProtocolError
            If there is no such row, or another pass has it.
        """
        pass_id = message[H0]
        if 0 <= pass_id >> 48 < self.agent.world and pass_id & 0xFFFF < PASSES:
            row = self.address(pass_id)
            if ledger.id_of(row) == pass_id:
                return row
            why = f"row {pass_id & 0xFFFF} of worker {pass_id >> 48} belongs to pass {ledger.id_of(row)}"
        else:
            why = f"there is no row {pass_id & 0xFFFF} of worker {pass_id >> 48}"
        raise ProtocolError(
            f"worker {message[SOURCE]} has sent a message (kind {message[KIND]}) of the backward pass {pass_id}, and {why}. "
            f"{WHY}"
        )

    # ------------------------------------------------------------ the caller

    def backward(
        self, context: Any, roots: list, retain: bool, mode: int, timeout: float | None
    ) -> None:
        """Run one pass to its end, or until Ctrl-C, which falls only into what `seed` runs: Note [Interrupts]."""
        hold = of_main if get_ident() == of_main.thread else of_others
        before, hold.state = hold.state, HELD
        try:
            self.run(context, roots, retain, mode, timeout)
        finally:
            hold.state = before
            if hold.noted:
                hold.leave(before)

    def run(
        self, context: Any, roots: list, retain: bool, mode: int, timeout: float | None
    ) -> None:
        agent = self.agent
        if context.passes:
            context.merge_done()
        pass_id = self.new_id()
        row = self.address(pass_id)
        ledger.open_row(row, pass_id, mode)
        running = self.running[pass_id] = Running(
            agent.session, row, context.row, time.monotonic() + timeout if timeout else 0.0
        )
        part = Part(self, context, pass_id, row, mode)
        part.retain = retain
        part.busy.acquire()
        context.passes[pass_id] = part
        try:
            if timeout:
                agent.serving.note_deadline(running.deadline)
                part.contact([root.node for root in roots])
            if timeout and part.has_user_code:  # which may take any time, so not on this thread
                agent.serving.submit(functools.partial(self.seed, part, roots))
            else:
                self.seed(part, roots)
            if ledger.status(row) == ledger.RUNNING:
                agent.wait(running)
            if ledger.status(row) != ledger.DONE:
                self.explain(part, running)
        except BaseException as error:
            if ledger.fail(row, agent.rank):
                agent.changed()
            if isinstance(error, NbgradError | KeyboardInterrupt):
                agent.session.check()  # a death explains more than what followed from it
            raise
        finally:
            del self.running[pass_id]
            if ledger.status(row) == ledger.DONE:
                self.free.append(pass_id)  # its sums are merged when somebody asks for them
            else:
                context.note(pass_id)
                self.failed_rows.append(pass_id)

    def seed(self, part: Part, roots: list) -> None:
        """The caller's own message, and what came meanwhile."""
        hold = of_main if get_ident() == of_main.thread else of_others
        try:
            hold.state = OPEN
            if ledger.status(part.row) == ledger.RUNNING:
                part.start(roots)
            hold.state = HELD
        except BaseException as error:
            hold.state = HELD
            self.failed(part, error)
            if not isinstance(error, Exception):
                raise
        finally:
            part.ended_ns = time.perf_counter_ns()
            part.computing_ns += part.ended_ns - part.started_ns
            if ledger.give_back(part.row, 1):
                self.at_zero(part.row, part.id, part.context.id)
            part.end_seed()

    def explain(self, part: Part, running: Running) -> NoReturn:
        """The pass has failed: raise why."""
        if not (running.failures or running.reports or self.is_released(part.context)):
            self.agent.wait(Record(running))  # it was posted before the state changed
        if running.failures:
            raise_failure(running.failures, running.originals, part.context.id)
        if running.reports:
            listed = "\n  ".join(sorted(running.reports))
            raise FastModeError(
                f"mode 'fast' assumes that every result of a remote call is used by the roots, and these are not:\n  {listed}\n"
                f"Use mode='auto' (the default), which finds that out by itself, or keep such calls outside of the context "
                f"or under no_grad; print(nbgrad.dist_autograd.graph({part.context.id})) shows where they are."
            )
        if self.is_released(part.context):
            raise ContextError(
                f"Could not find autograd context with id: {part.context.id}. It was released while a backward pass of it "
                f"ran, so the pass was dropped; release a context after its passes have ended"
            )
        raise ProtocolError(
            f"pass {part.id} ended without a result or an error; sends unserved: {ledger.unserved(running.row)}"
        )

    def is_released(self, context: Any) -> bool:
        return self.contexts.table.get(context.id) is not context

    def new_id(self) -> int:
        """A fresh pass id with a free row."""
        if self.failed_rows:
            self.drop_failed()
        try:
            return self.free.popleft() + NEXT_USE
        except IndexError:
            row = next(self.new_rows)  # each once, whatever threads ask
            if row >= PASSES:
                raise SharedMemoryFull(
                    f"{PASSES} backward passes of this worker are open; let some end before you start more"
                ) from None
            self.n_rows = row + 1
            return self.agent.rank << 48 | NEXT_USE | row

    def next_deadline(self) -> float:
        """Of the passes of this worker that are not late yet; inf if there is none."""
        now = time.monotonic()
        deadlines = [running.deadline for running in list(self.running.values())]
        return min([d for d in deadlines if d > now], default=float("inf"))

    def drop_failed(self) -> None:
        """Failed rows: tell their workers to drop them, and reuse them when all have (Note [Ledger] G4)."""
        for _ in range(len(self.failed_rows)):
            try:
                entry = self.failed_rows.popleft()
            except IndexError:  # another thread drops them, too
                return
            pass_id, told = entry if type(entry) is tuple else (entry, False)
            row = self.address(pass_id)
            if ledger.status(row) != ledger.DRAINED or ledger.units(row) != 0:
                self.failed_rows.append((pass_id, told))
            elif told:
                self.free.append(pass_id)
            else:
                mask = ledger.touched(row) & ~(1 << self.agent.rank)
                for rank in range(self.agent.world):
                    if mask >> rank & 1:
                        self.agent.post(rank, row, DROP_PASS, pass_id, -1, 0, 0, 0, 0, (), None)
                self.failed_rows.append((pass_id, True))

    # ------------------------------------------------------------ every worker

    def on_message(self, message: tuple) -> Any:
        """A message of a pass: to its part, which is made if this is the first one here."""
        pass_id, context_id = message[H0], message[H1]
        context = self.contexts.table.get(context_id)
        if context is None:
            context = self.contexts.get(context_id)
        part = context.passes.get(pass_id) if context is not None else None
        if part is None:
            row = self.row_of(message)
            if context is None or ledger.outcome(row, pass_id) != ledger.RUNNING:
                del message  # its blocks go back first
                self.give_back(row, pass_id, context_id)
                return None
            if context.passes:
                context.merge_done()
            part = context.passes[pass_id] = Part(self, context, pass_id, row, ledger.mode(row))
        part.queue.append(message)
        return part if part.busy.acquire(False) else None  # Note [Part] P4

    def give_back(self, row: int, pass_id: int, context_id: int) -> None:
        """A unit back; whoever brings the counter to 0 ends the pass or starts the settle round."""
        if ledger.give_back(row, 1):
            self.at_zero(row, pass_id, context_id)

    def at_zero(self, row: int, pass_id: int, context_id: int) -> None:
        """The counter of units is 0: Note [Ledger] G2."""
        while True:
            if ledger.close(row):
                self.wake(pass_id >> 48)
                return
            if ledger.phase(row):  # settled already
                ledger.fail(row, pass_id >> 48)
                continue
            context = self.contexts.table.get(context_id)
            part = context.passes.get(pass_id) if context is not None else None
            if part is None:  # the context is being released
                ledger.fail(row, self.agent.rank)
                continue
            ledger.settle(row, 0)
            open_round(part)
            if not ledger.give_back(row, 1):
                return

    def wake(self, rank: int) -> None:
        if rank == self.agent.rank:
            self.agent.changed()
        else:
            bell.rouse(self.agent.binding.worker(rank), 1 << self.agent.rank)

    def failed(self, part: Part, error: BaseException) -> None:
        """A node of this worker raised: the record goes to the caller first, then the pass fails."""
        record = pack_failure(error, part.node, part.in_hook, self.agent)
        running = self.running.get(part.id)
        if running is not None and isinstance(error, Exception):
            running.originals[record] = error
        try:
            with contextlib.suppress(NbgradError):
                self.agent.post(
                    part.id >> 48, 0, FAILURE, part.id, part.context.id, 0, 0, 0, 0, (), record
                )
        finally:
            if ledger.fail(part.row, self.agent.rank):
                self.wake(part.id >> 48)

    def on_failure(self, message: tuple) -> None:
        running = self.running.get(message[H0])
        if running is not None:
            running.failures.append(message[EXTRA])

    def on_report(self, message: tuple) -> None:
        running = self.running.get(message[H0])
        if running is not None:
            running.reports.append(message[EXTRA].decode())
        self.give_back(self.row_of(message), message[H0], message[H1])

    def on_drop(self, message: tuple) -> None:
        row = self.row_of(message)
        for context in list(self.contexts.table.values()):
            context.note(message[H0])
        # The row is closed already, so the unit is the last access: the caller may open the row for another pass at
        # once (! closing it again would end that one).
        ledger.give_back(row, 1)


class Record:
    """Waits for the record of a failure that the row already tells of."""

    def __init__(self, running: Running):
        self.running = running
        self.end = time.monotonic() + 1.0

    @property
    def finished(self) -> bool:
        return bool(self.running.failures) or time.monotonic() > self.end
