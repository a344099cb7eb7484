"""Part: what one worker does in one distributed backward pass.

Note [Part]
~~~~~~~~~~~
Counts live in the pass's own table, never in nodes (! two contexts meet on one parameter).  An entry of the table is
[edges from seen nodes that have not delivered, sum so far]; the sum is an array, or a list of them for a node of several
outputs.  K is the snapshot of the context's sends at first contact; sends made later are not part of this pass.
A part is an actor: messages are queued, and one thread at a time handles them.
P1 (order)     a node runs when all its seen users have delivered, something or "absent".
P2 (absent)    a node all of whose inputs are absent runs no VJP and no hook, frees nothing, and delivers absent.
P3 (owned)     the table adds in place only into sums that it made itself (`owned`), and never after they were posted.
P4 (actor)     who queues a message tries `busy` after it; who handles messages releases `busy`, then looks at the queue again.
               So one of the two sees the other, and no message is left (! the other order leaves one).
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from threading import get_ident
from typing import Any

import numpy as np

from nbgrad.autograd.anomaly import Trace, refuse_nan
from nbgrad.autograd.function import pull_back
from nbgrad.autograd.grad_buffer import add_into, added, one_like
from nbgrad.autograd.hooks import run_post, run_pre
from nbgrad.autograd.leaf_hooks import run_leaf, run_leaf_post
from nbgrad.autograd.node import Node
from nbgrad.autograd.node_name import class_name
from nbgrad.autograd.sparse import densified
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import Latest, check_node
from nbgrad.dist_autograd import ledger
from nbgrad.dist_autograd.context import alone
from nbgrad.dist_autograd.deliver import MOST, ONE_EACH, deliver
from nbgrad.dist_autograd.send_recv import (
    RETAIN,
    WIDE,
    RecvRpcBackward,
    note_gradient,
    pack_gradient,
    post_gradient,
    run_send_hooks,
    unpack_mask,
)
from nbgrad.dist_autograd.settle import on_letter, post_letters, speak
from nbgrad.dist_autograd.walk import entry
from nbgrad.errors import ProtocolError
from nbgrad.rpc.interrupts import HELD, OPEN, Hold, of_main, of_others
from nbgrad.rpc.message import ARRAYS, GRAD, H2, H3, H4, KIND
from nbgrad.rpc.request import is_interrupt

ndarray = np.ndarray


class Part:
    """This worker's part of one pass; calling it handles the queued messages."""

    __slots__ = (
        "absent", "agent", "asked", "busy", "computing_ns", "contacted", "context", "declared", "ended_ns", "engine", "fast",
        "has_user_code", "id", "in_hook", "is_silent", "leaves", "n_copied", "n_gradients", "n_messages", "n_nodes",
        "n_served", "n_zero_copy", "node", "owned", "queue", "retain", "row", "served", "snapshot", "started_ns", "table",
        "words",
    )  # fmt: skip

    def __init__(self, engine: Any, context: Any, pass_id: int, row: int, mode: int):
        self.engine, self.context, self.id, self.row = engine, context, pass_id, row
        self.agent = engine.agent
        self.fast = mode == ledger.FAST
        self.queue: deque = deque()
        self.busy = threading.Lock()  # held by the thread that handles messages: Note [Part] P4
        self.contacted = self.asked = False
        # Has not told yet what it does not use: that comes after the first message, for whose results others wait.
        self.is_silent = False
        # Hooks, or backward functions written in Python: who has not looked (`contact`) must think so.
        self.has_user_code = True
        self.retain = False
        self.table: dict = {}  # node or leaf -> [count, sum]
        self.owned: set = set()  # targets, or (target, idx), whose sum is ours to add into
        self.snapshot: dict = {}  # K: message id -> SendRpcBackward
        self.served: set = set()
        self.absent: set = set()  # of the served: those that got the word that there is no gradient
        # Message ids of recvs outside of this pass, whose sends were told that they get none.
        self.declared: set = set()
        self.words: dict = {}  # rank -> negated message ids of recvs inside that got none, to be told at the end of `drain`
        self.leaves: dict = {}  # leaf -> its sum in this pass
        self.node: Any = None  # node or leaf that runs now, for error messages
        self.in_hook = False
        self.n_messages = self.n_gradients = self.n_nodes = self.n_copied = self.n_zero_copy = 0
        self.n_served = 0  # by the message in hand; the ledger hears of it with its unit
        self.computing_ns = 0
        self.started_ns = self.ended_ns = time.perf_counter_ns()

    def outcome(self) -> int:
        """RUNNING, DONE, or the pass has failed: what becomes of `leaves`."""
        state = ledger.outcome(self.row, self.id)
        # Failed rows are not reused before they are dropped here.
        return ledger.DONE if state == ledger.FREE else state

    def figures(self) -> tuple:
        """What a PartStatistics is made of."""
        return (
            self.n_messages, self.n_gradients, self.n_nodes, self.n_copied, self.n_zero_copy, self.computing_ns,
            self.started_ns, self.ended_ns,
        )  # fmt: skip

    # ------------------------------------------------------------ actor

    def end_seed(self) -> None:
        """The caller's own message is handled: on to what came meanwhile."""
        self.busy.release()
        if self.queue and self.busy.acquire(False):
            self()

    def may_run_for(self, waited: Any) -> bool:
        """Whether a thread may run this that waits for `waited` inside user code.

        Hooks may need what that thread would do next, unless it waits for this very pass; with a timeout it must be back
        in time, whatever hooks do.
        """
        if not self.contacted and ledger.status(self.row) == ledger.RUNNING:
            try:
                self.contact(())  # the caller holds `busy`
            except Exception as error:
                self.engine.failed(self, error)
        if not self.has_user_code or not self.contacted:
            return True
        return getattr(waited, "row", 0) == self.row and not waited.deadline

    def __call__(self) -> None:
        start_ns = time.perf_counter_ns()
        queue, busy = self.queue, self.busy
        interrupt = None
        hold = of_main if get_ident() == of_main.thread else of_others
        while True:
            while queue:
                try:
                    self.handle(queue.popleft(), hold)  # (a name for it here would hold its blocks)
                except KeyboardInterrupt as error:
                    interrupt = error  # raised when what is queued has given its units back
            self.ended_ns = end_ns = time.perf_counter_ns()
            self.computing_ns += end_ns - start_ns
            busy.release()
            if not queue or not busy.acquire(False):
                break
            start_ns = end_ns
        if interrupt is not None:
            try:
                raise interrupt
            finally:
                del interrupt  # or it would hold this frame, and this frame the interrupt

    def handle(self, message: tuple, hold: Hold) -> None:
        """One message, and its unit back; Ctrl-C is raised here, when the pass knows of it."""
        try:
            hold.state = OPEN
            if ledger.status(self.row) == ledger.RUNNING:
                if not self.contacted:
                    self.contact(())
                if message[KIND] == GRAD:
                    self.on_grad(message[H2], message[H3], message[H4], message[ARRAYS])
                else:
                    on_letter(self, message)
                if self.is_silent:
                    self.is_silent = False
                    speak(self)
            hold.state = HELD
        except BaseException as error:
            hold.state = HELD
            self.engine.failed(self, error)
            if is_interrupt(error):
                raise
        finally:
            del message  # its blocks go back before its unit
            n_served, self.n_served = self.n_served, 0
            if ledger.handled(self.row, n_served):
                self.engine.at_zero(self.row, self.id, self.context.id)

    # ------------------------------------------------------------ counting

    def contact(self, roots: Iterable) -> None:
        """First contact: snapshot of the sends, and one walk that counts edges."""
        if self.contacted:
            return
        self.contacted = True
        snapshot = self.snapshot = self.context.sends.copy()
        table, starts = self.table, []
        for node in roots:
            if node not in table:
                table[node] = entry(node)
                starts.append(node)
        starts += snapshot.values()  # (no edge leads to these)
        self.has_user_code = self.engine.walk(starts, table)
        ledger.count_sends(self.row, len(snapshot), 1 << self.agent.rank)
        self.is_silent = True

    # ------------------------------------------------------------ messages

    def start(self, roots: list) -> None:
        """The caller's own message: seeds at the roots (one listed twice counts twice)."""
        nodes = [root.node for root in roots]
        self.contact(nodes)
        table = self.table
        for root in roots:
            self.add((root.node, root.idx), table[root.node], one_like(root.array))
        self.drain([node for node in dict.fromkeys(nodes) if not table[node][0]])
        self.is_silent = False
        speak(self)

    def on_grad(self, message_id: int, flags: int, mask: int, arrays: tuple) -> None:
        """The gradient of one of our sends."""
        send = self.snapshot.get(message_id)
        if send is None:  # sent after the snapshot: not part of this pass
            raise ProtocolError(
                f"a gradient came for message {message_id}, which this pass has not counted"
            )
        served = self.served
        if message_id in served:
            raise self.served_twice(message_id)
        served.add(message_id)
        self.n_served += 1
        trace = self.agent.trace
        if trace:
            note_gradient(trace, send, self.agent, self.id, time.perf_counter_ns())
        self.retain = bool(flags & RETAIN)
        if mask >= WIDE:
            arrays, mask = unpack_mask(arrays, mask)
        if send.hooks is not None:
            self.node = send
            arrays, mask = self.hooked(run_send_hooks, send, arrays, mask)
        ready: list = []
        form = self.engine.deliver if mask < 1 << MOST else deliver
        more = form(send.edges, arrays, mask, self.table, ready)
        arrays = None  # type: ignore[assignment]
        if more is not None:
            self.add_all(more)
            more = None
        if ready:
            self.drain(ready)

    def serve_nothing(self, message_id: int, ready: list) -> None:
        """One of our sends gets no gradient in this pass."""
        if message_id in self.served:
            raise self.served_twice(message_id)
        self.served.add(message_id)
        self.n_served += 1
        self.absent.add(message_id)
        self.engine.deliver(self.snapshot[message_id].edges, (), 0, self.table, ready)

    def served_twice(self, message_id: int) -> ProtocolError:
        return ProtocolError(f"message {message_id} got its gradient twice in pass {self.id}")

    # ------------------------------------------------------------ running nodes

    def add_all(self, more: list) -> None:
        """Add what `deliver` has left."""
        for edge, found, g in more:
            self.add(edge, found, g)

    def add(self, edge: tuple, found: list, g: Any) -> None:
        """Add `g` to what has come for a target, which is in its entry `found` of the table."""
        target, idx = edge
        total = found[1]
        if total is None:
            found[1] = g
        elif type(total) is list:
            part = total[idx]
            if part is None:
                total[idx] = g
            elif (target, idx) in self.owned:
                add_into(g, part)
            else:
                total[idx] = part = added(part, g)
                if part.__class__ is ndarray:  # a sparse sum is a new object each time
                    self.owned.add((target, idx))
        elif target in self.owned:
            add_into(g, total)
        else:
            found[1] = total = added(total, g)
            if total.__class__ is ndarray:
                self.owned.add(target)

    def drain(self, ready: list) -> None:
        """Run nodes until none is ready; look at the pass's state before each but the first: the caller has."""
        table, row, trace, is_first = self.table, self.row, self.agent.trace, True
        deliver = self.engine.deliver
        while ready:
            node = ready.pop()
            found = table[node]
            g, found[1] = found[1], None  # nothing comes any more
            kind = node.__class__
            if kind is RecvRpcBackward:
                post_gradient(self, node, g)
                continue
            if kind is not Node and isinstance(node, Tensor):
                if g is not None:
                    if not node.hooks:
                        self.leaves[node] = g
                    elif ledger.status(row) == ledger.RUNNING:
                        self.leaves[node] = self.hooked_leaf(node, g)
                continue
            if g is None or (g.__class__ is list and not pack_gradient(g)[1]):
                deliver(node.edges, (), 0, table, ready)
                continue
            if is_first:
                is_first = False
            elif ledger.status(row) != ledger.RUNNING:
                return
            self.node = node
            self.n_nodes += 1
            if node.hooks is not None:
                g = self.hooked(run_pre, node, g)
            if node.seq < Latest.seq:
                check_node(node)
            start_ns = time.perf_counter_ns() if trace else 0
            vjp = node.vjp
            try:
                cotangents = (
                    vjp(node.residuals, g)
                    if vjp is not pull_back
                    else alone(pull_back, node.residuals, g)
                )
            except Exception:
                g = densified(g)
                if g is None:
                    raise
                cotangents = alone(vjp, node.residuals, g)  # it does not take sparse ones
            if start_ns:
                trace("backward", class_name(node.name), start_ns)
            if Trace.checks:
                refuse_nan(node, cotangents)
            if node.hooks is not None:
                cotangents = self.hooked(run_post, node, cotangents, g)
            if node.residuals is not None and not self.retain:
                node.release()
            g = None
            if cotangents.__class__ is not tuple:
                cotangents = tuple(cotangents)
            more = deliver(node.edges, cotangents, ONE_EACH, table, ready)
            cotangents = None
            if more is not None:
                self.add_all(more)
                more = None
        if self.words:
            letters, self.words = self.words, {}
            post_letters(self, letters)

    def hooked(self, run: Any, *arguments: Any) -> Any:
        """Run hooks of the user; an error in them is told as theirs."""
        self.in_hook = True
        found = alone(run, *arguments)
        self.in_hook = False
        return found

    def hooked_leaf(self, leaf: Tensor, g: Any) -> Any:
        """The sum of a leaf after its hooks."""
        self.node, self.in_hook = leaf, True
        self.owned.discard(leaf)  # a hook may keep the sum, or give one that it keeps
        g = alone(run_leaf, leaf, g)
        alone(run_leaf_post, leaf, g)
        self.in_hook = False
        return g
