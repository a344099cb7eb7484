"""Contexts: what one forward pass recorded on one worker, and the table of them.

    with dist_autograd.context() as context_id:
        loss = ...
        dist_autograd.backward(context_id, [loss])
        gradients = dist_autograd.get_gradients(context_id)

An id is worker << 48 | use << 16 | row and never comes twice.  A worker gets its part of a context with the first
message that carries the id, and drops it when the context is released.
"""

import threading
from collections import deque
from typing import Any

from nbgrad.autograd.grad_buffer import accumulate, kept
from nbgrad.autograd.grad_mode import set_enabled
from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd import context_rows as rows
from nbgrad.dist_autograd import ledger
from nbgrad.errors import ContextError, ProtocolError, SharedMemoryFull
from nbgrad.rpc.message import RELEASE
from nbgrad.shm.layout import CONTEXTS
from nbgrad.shm.wire import SENT

COMMIT_ROWS = 1024


class ThreadState(threading.local):
    """The context in which this thread records."""

    context: Any = None


thread = ThreadState()


def alone(run: Any, *arguments: Any) -> Any:
    """Run code of the user that a pass needs: outside any context, recording nothing."""
    before = thread.context, set_enabled(False)
    thread.context = None
    try:
        return run(*arguments)
    finally:
        thread.context = before[0]
        set_enabled(before[1])


class Context:
    """One worker's part of an autograd context: PyTorch's `DistAutogradContext`."""

    __slots__ = (
        "__weakref__",
        "gradients",
        "id",
        "known",
        "lock",
        "passes",
        "recvs",
        "row",
        "sends",
        "served",
        "statistics",
    )

    def __init__(self, context_id: int, row: int):
        self.id, self.row = context_id, row
        self.sends: dict = {}  # message id -> SendRpcBackward; backward does not consume them
        self.recvs: dict = {}
        self.known: set = set()  # ranks that a message of this context was sent to
        self.passes: dict = {}  # pass id -> Pass
        self.gradients: dict = {}  # leaf -> Tensor, the sum over passes that are done
        self.lock = threading.Lock()
        self.served: set = (
            set()
        )  # message ids of sends that got a gradient in some pass, failed ones too
        self.statistics: dict = {}  # pass id -> its `Part.figures`

    def _context_id(self) -> int:
        return self.id

    def _send_functions(self) -> dict:
        return dict(self.sends)

    def _recv_functions(self) -> dict:
        return dict(self.recvs)

    def _known_worker_ids(self) -> set:
        return set(self.known)

    def merge_done(self) -> None:
        """Add the leaf sums of passes that are done; drop those of passes that failed: all or nothing."""
        if not self.passes:
            return
        with self.lock:
            for pass_id, part in list(self.passes.items()):
                outcome = part.outcome()
                if outcome == ledger.RUNNING:
                    continue
                self.note(pass_id)
                if outcome == ledger.DONE:
                    self.add(part.leaves, part.owned)

    def add(self, leaves: dict, owned: set) -> None:
        """Add the sums of a pass, and use them up; in place into those of them that are `owned`."""
        gradients = self.gradients
        while leaves:
            leaf, g = leaves.popitem()
            total = gradients.get(leaf)
            if total is None:
                gradients[leaf] = Tensor(g if leaf in owned else kept(g, 1))
            else:
                accumulate(total, g)

    def note(self, pass_id: int) -> None:
        """A pass has ended, well or not: what `graph` and `pass_statistics` tell of it."""
        part = self.passes.pop(pass_id, None)
        if part is not None:
            self.served |= part.served - part.absent if part.absent else part.served
            self.statistics[pass_id] = part.figures()


class Contexts:
    """All contexts that this worker has a part of."""

    def __init__(self, agent: Any):
        self.agent = agent
        self.table: dict[int, Context] = {}
        self.free: deque = deque()  # rows whose contexts are released, oldest first
        self.uses: dict[int, int] = {}
        self.n_rows = 0
        self.lock = threading.Lock()
        self.own_bit = 1 << agent.rank
        self.late: dict[int, deque] = {}  # rank -> ids whose RELEASE has found its ring full
        agent.on(RELEASE, self.on_release)
        agent.serving.at_slice_end.append(self.release_late)

    def address(self, context_id: int) -> int:
        """Address of the context's row.

        Raises
        ------
        ProtocolError
            If the id, which may have come in a message, names a worker that there is not.
        """
        session = self.agent.session
        if not 0 <= context_id >> 48 < self.agent.world:
            raise ProtocolError(
                f"no autograd context has the id {context_id}: there is no worker {context_id >> 48} in this group of "
                f"{self.agent.world}"
            )
        return session.segment.address + session.layout.context_row(
            context_id >> 48, context_id & 0xFFFF
        )

    def new(self) -> Context:
        """A fresh context, created by this worker."""
        session, rank = self.agent.session, self.agent.rank
        with self.lock:
            base = session.segment.address
            if self.free and rows.is_free(
                base + session.layout.context_row(rank, self.free[0]), self.agent.world
            ):
                row = self.free.popleft()
            else:
                row = self.n_rows
                if row >= CONTEXTS:
                    raise SharedMemoryFull(
                        f"{CONTEXTS} autograd contexts of this worker are open; release some"
                    )
                if row % COMMIT_ROWS == 0:
                    offset = session.layout.context_row(rank, row)
                    session.segment.commit(
                        offset, session.layout.context_row(rank, row + COMMIT_ROWS) - offset
                    )
                self.n_rows += 1
            use = self.uses[row] = self.uses.get(row, -1) + 1
        context_id = rank << 48 | use << 16 | row
        address = self.address(context_id)
        rows.open_row(address, context_id, self.own_bit)
        context = self.table[context_id] = Context(context_id, address)
        return context

    def find(self, context_id: int) -> Context:
        """The context, if this worker has a part of it.

        Raises
        ------
        ContextError
            If not.
        """
        context = self.table.get(context_id)
        if context is None:
            raise ContextError(
                f"Could not find autograd context with id: {context_id}. It was never here, or has been released: a context "
                f"ends with its `with` block, and backward and get_gradients must run inside it."
            )
        return context

    def get(self, context_id: int) -> Context | None:
        """The context, made if a message brought it here first; None if it has been released."""
        context = self.table.get(context_id)
        if context is None:
            address = self.address(context_id)
            if not rows.is_open(address, context_id):
                return None
            context = self.table.setdefault(context_id, Context(context_id, address))
            if not rows.is_open(
                address, context_id
            ):  # its release was handled before it was in the table
                self.table.pop(context_id, None)
                return None
        return context

    def join(self, context: Context, target: int) -> None:
        """Let `target` take part, before a message of the context is posted to it."""
        if target not in context.known:
            if not rows.join(context.row, context.id, 1 << target):
                raise ContextError(
                    f"Couldn't find autograd context data for current autograd context id: {context.id}. The context was "
                    f"released while a call was still under way; wait for all futures before the `with` block ends."
                )
            context.known.add(target)

    def release(self, context_id: int) -> None:
        """End the context on all of its workers.

        Raises
        ------
        ContextError
            If this worker has no part of it.
        """
        context = self.find(context_id)
        mask = rows.release(context.row, context_id)
        self.drop(context_id)
        rank = 0
        while mask >> rank:
            if mask >> rank & 1 and rank != self.agent.rank:
                self.late.setdefault(rank, deque()).append(context_id)
            rank += 1
        self.release_late()

    def release_late(self) -> None:
        """Send what releases other workers must know; a worker that is stopped and whose ring is full hears it later."""
        for rank, ids in list(self.late.items()):
            while ids:
                try:
                    context_id = ids.popleft()
                except IndexError:  # another thread was faster
                    break
                header = rank, 0, RELEASE, 0, context_id, 0, 0, 0, 0, (), None
                if self.agent.native_post(*header) != SENT:
                    if not self.agent.fail_departed() >> rank & 1:
                        ids.appendleft(context_id)
                    break

    def on_release(self, message: tuple) -> None:
        self.drop(message[3])

    def drop(self, context_id: int) -> None:
        context = self.table.pop(context_id, None)
        address = self.address(context_id)
        rows.acknowledge(address, self.agent.rank, context_id)
        if (
            context is not None and context_id >> 48 == self.agent.rank
        ):  # (two may release it at once)
            self.free.append(context_id & 0xFFFF)
        if context is not None:
            # Parts know their context: a cycle, which would keep blocks of others until Python's collector runs.
            with context.lock:
                context.passes.clear()
