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
"""

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from nbgrad.autograd.anomaly import Trace, refuse_nan
from nbgrad.autograd.grad_buffer import add_into, added, one_like
from nbgrad.autograd.grad_mode import set_enabled
from nbgrad.autograd.hooks import run_post, run_pre
from nbgrad.autograd.leaf_hooks import run_leaf, run_leaf_post
from nbgrad.autograd.node import class_name
from nbgrad.autograd.sparse import densified
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import Latest, check_node
from nbgrad.dist_autograd import ledger
from nbgrad.dist_autograd.context import thread
from nbgrad.dist_autograd.send_recv import (
    RecvRpcBackward,
    note_gradient,
    pack_gradient,
    pack_mask,
    run_send_hooks,
    unpack_mask,
)
from nbgrad.dist_autograd.settle import on_letter, post_letters, speak
from nbgrad.dist_autograd.walk import walk
from nbgrad.errors import GraphError, ProtocolError
from nbgrad.rpc.message import ARRAYS, GRAD, H2, H3, H4, KIND
from nbgrad.rpc.request import is_interrupt
from nbgrad.shm.binding import block_of

ndarray = np.ndarray
RETAIN = 1  # flag in h3 of a GRAD


class Part:
    """This worker's part of one pass; calling it handles the queued messages."""

    def __init__(self, engine: Any, context: Any, pass_id: int, row: int):
        self.engine, self.context, self.id, self.row = engine, context, pass_id, row
        self.agent = engine.agent
        self.fast = ledger.mode(row) == ledger.FAST
        self.queue: deque = deque()
        self.busy = False
        self.lock = threading.Lock()
        self.contacted = self.asked = False
        # Has not told yet what it does not use: that comes after the first message, for whose results others wait.
        self.is_silent = False
        self.interrupt: BaseException | None = None  # Ctrl-C in a hook
        self.has_user_code = False  # hooks, or backward functions written in Python
        self.retain = False
        self.table: dict = {}  # node or leaf -> [count, sum]
        self.owned: set = set()  # targets, or (target, idx), whose sum is ours to add into
        self.seen: set = set()
        self.snapshot: dict = {}  # K: message id -> SendRpcBackward
        self.served: set = set()
        self.absent: set = set()  # of the served: those that got the word that there is no gradient
        self.declared: set = (
            set()
        )  # message ids of recvs outside of this pass, whose sends were told that they get none
        self.words: dict = {}  # rank -> negated message ids of recvs inside that got none, to be told at the end of `drain`
        self.leaves: dict = {}  # leaf -> its sum in this pass
        self.node: Any = None  # node or leaf that runs now, for error messages
        self.in_hook = False
        self.n_messages = self.n_gradients = self.n_nodes = self.n_copied = self.n_zero_copy = 0
        self.computing_ns = 0
        self.started_ns = self.ended_ns = time.perf_counter_ns()

    def outcome(self) -> int:
        """RUNNING, DONE, or the pass has failed: what becomes of `leaves`."""
        state = ledger.outcome(self.row, self.id)
        return (
            ledger.DONE if state == ledger.FREE else state
        )  # failed rows are not reused before they are dropped here

    def statistics(self) -> tuple:
        """The fields of a PartStatistics."""
        computing_s = self.computing_ns / 1e9
        return (
            self.agent.session.names[self.agent.rank],
            self.n_messages,
            self.n_gradients,
            self.n_nodes,
            self.n_copied,
            self.n_zero_copy,
            computing_s,
            max(0.0, (self.ended_ns - self.started_ns) / 1e9 - computing_s),
            self.started_ns,
        )

    # ------------------------------------------------------------ actor

    def submit(self, message: tuple) -> Any:
        """Queue a message; work to run if nobody is at it."""
        with self.lock:
            self.queue.append(message)
            if self.busy:
                return None
            self.busy = True
        return self

    def end_seed(self) -> None:
        """The caller's own message is handled: on to what came meanwhile."""
        with self.lock:
            if not self.queue:
                self.busy = False
                return
        self()

    def may_run_for(self, waited: Any) -> bool:
        """Whether a thread may run this that waits for `waited` inside user code.

        Hooks may need what that thread would do next, unless it waits for this very pass; with a timeout it must be back
        in time, whatever hooks do.
        """
        if not self.contacted and ledger.status(self.row) == ledger.RUNNING:
            try:
                self.contact(())  # the caller of `submit` has this part for itself
            except Exception as error:
                self.engine.failed(self, error)
        if not self.has_user_code:
            return True
        return getattr(waited, "row", 0) == self.row and not waited.deadline

    def __call__(self) -> None:
        before = thread.context, set_enabled(False)
        thread.context = None  # nodes run outside any context, and record nothing
        start_ns = time.perf_counter_ns()
        try:
            while True:
                with self.lock:
                    if not self.queue:
                        self.busy = False
                        break
                    message = self.queue.popleft()
                self.handle(message)
        finally:
            self.ended_ns = time.perf_counter_ns()
            self.computing_ns += self.ended_ns - start_ns
            thread.context = before[0]
            set_enabled(before[1])
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            raise interrupt

    def handle(self, message: tuple) -> None:
        """One message, and its unit back."""
        try:
            if ledger.status(self.row) == ledger.RUNNING:
                self.contact(())
                if message[KIND] == GRAD:
                    self.on_grad(message)
                else:
                    on_letter(self, message)
                if self.is_silent:
                    self.is_silent = False
                    speak(self)
        except BaseException as error:
            self.engine.failed(self, error)
            if is_interrupt(error):  # raised when what is queued has given its units back
                self.interrupt = error
        finally:
            del message  # blocks of a dropped message go back before its unit
            self.engine.give_back(self.row, self.id, self.context.id)

    # ------------------------------------------------------------ counting

    def contact(self, roots: tuple) -> None:
        """First contact: snapshot of the sends, and one walk that counts edges."""
        if self.contacted:
            return
        self.contacted = True
        snapshot = self.snapshot = dict(self.context.sends)
        self.has_user_code = walk([*roots, *snapshot.values()], self.table, self.seen)
        ledger.count_sends(self.row, len(snapshot), 1 << self.agent.rank)
        self.is_silent = True

    # ------------------------------------------------------------ messages

    def nodes_of(self, roots: list) -> tuple:
        """Distinct nodes that made the roots."""
        return tuple(dict.fromkeys([root.node for root in roots]))

    def start(self, roots: list) -> None:
        """The caller's own message: seeds at the roots (one listed twice counts twice)."""
        nodes = [root.node for root in roots]
        self.contact(self.nodes_of(roots))
        table = self.table
        ready: list = []
        for node in nodes:
            table.setdefault(node, [0, None if node.n_outputs == 1 else [None] * node.n_outputs])[
                0
            ] += 1
        for root in roots:
            self.deliver((root.node, root.idx), one_like(root.array), ready)
        self.drain(ready)
        self.is_silent = False
        speak(self)

    def on_grad(self, message: tuple) -> None:
        """The gradient of one of our sends."""
        message_id, flags, arrays = message[H2], message[H3], message[ARRAYS]
        send = self.snapshot.get(message_id)
        if send is None:  # sent after the snapshot: not part of this pass
            raise ProtocolError(
                f"a gradient came for message {message_id}, which this pass has not counted"
            )
        self.note_served(message_id)
        trace = self.agent.trace
        if trace:
            note_gradient(trace, send, self.agent, self.id, time.perf_counter_ns())
        self.retain = bool(flags & RETAIN)
        arrays, mask = unpack_mask(arrays, message[H4])
        if send.hooks is not None:
            self.node = send
            arrays, mask = self.hooked(run_send_hooks, send, arrays, mask)
        k = 0
        ready: list = []
        for edge in send.edges:
            if mask & 1:
                self.deliver(edge, arrays[k], ready)
                k += 1
            else:
                self.deliver(edge, None, ready)
            mask >>= 1
        del message, arrays
        self.drain(ready)

    def serve_nothing(self, message_id: int, ready: list) -> None:
        """One of our sends gets no gradient in this pass."""
        self.note_served(message_id)
        self.absent.add(message_id)
        for edge in self.snapshot[message_id].edges:
            self.deliver(edge, None, ready)

    def note_served(self, message_id: int) -> None:
        if message_id in self.served:
            raise ProtocolError(f"message {message_id} got its gradient twice in pass {self.id}")
        self.served.add(message_id)
        ledger.serve(self.row, 1)

    def post(
        self, target: int, kind: int, message_id: int, flags: int, mask: int, arrays: tuple
    ) -> None:
        self.n_messages += 1
        ids = self.id, self.context.id, message_id
        self.agent.post(target, self.row, kind, *ids, flags, mask, 0, arrays, None)

    # ------------------------------------------------------------ running nodes

    def deliver(self, edge: tuple, g: Any, ready: list) -> None:
        """One user of the target has delivered `g`, or None: absent."""
        target, idx = edge
        entry = self.table[target]
        if g is not None:
            total = entry[1]
            if total is None:
                entry[1] = g
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
                entry[1] = total = added(total, g)
                if total.__class__ is ndarray:
                    self.owned.add(target)
        entry[0] -= 1
        if not entry[0]:
            ready.append(target)

    def drain(self, ready: list) -> None:
        """Run nodes until none is ready; look at the pass's state before each."""
        table, row, deliver, trace = self.table, self.row, self.deliver, self.agent.trace
        while ready:
            node = ready.pop()
            entry = table[node]
            g, entry[1] = entry[1], None
            if isinstance(node, Tensor):
                if g is not None:
                    if not node.hooks:
                        self.leaves[node] = g
                    elif ledger.status(row) == ledger.RUNNING:
                        self.leaves[node] = self.hooked_leaf(node, g)
                continue
            many = type(g) is list
            if many:
                absent = not any(part is not None for part in g)
                entry[1] = [None] * node.n_outputs
            else:
                absent = g is None
            if type(node) is RecvRpcBackward:
                self.post_gradient(node, g, absent)
                continue
            if absent:
                for edge in node.edges:
                    if edge is not None:
                        deliver(edge, None, ready)
                continue
            if ledger.status(row) != ledger.RUNNING:
                return
            self.node = node
            self.n_nodes += 1
            if node.hooks is not None:
                g = self.hooked(run_pre, node, g)
            if node.seq < Latest.seq:
                check_node(node)
            start_ns = time.perf_counter_ns() if trace else 0
            try:
                cotangents = node.vjp(node.residuals, g)
            except Exception:
                g = densified(g)
                if g is None:
                    raise
                cotangents = node.vjp(node.residuals, g)  # it does not take sparse ones
            if start_ns:
                trace("backward", class_name(node.name), start_ns)
            if Trace.checks:
                refuse_nan(node, cotangents)
            if node.hooks is not None:
                cotangents = self.hooked(run_post, node, cotangents, g)
            if not self.retain and node.residuals is not None:
                node.release()
            g = entry = None
            for edge, cotangent in zip(node.edges, cotangents):
                if edge is not None:
                    deliver(edge, cotangent, ready)
            cotangents = cotangent = None
        if self.words:
            letters, self.words = self.words, {}
            post_letters(self, letters)

    def hooked(self, run: Any, *arguments: Any) -> Any:
        """Run hooks of the user; an error in them is told as theirs."""
        self.in_hook = True
        found = run(*arguments)
        self.in_hook = False
        return found

    def hooked_leaf(self, leaf: Tensor, g: Any) -> Any:
        """The sum of a leaf after its hooks."""
        self.node, self.in_hook = leaf, True
        self.owned.discard(leaf)  # a hook may keep the sum, or give one that it keeps
        g = run_leaf(leaf, g)
        run_leaf_post(leaf, g)
        self.in_hook = False
        return g

    def post_gradient(self, node: RecvRpcBackward, g: Any, absent: bool) -> None:
        """A recv function has all of its gradients: they go to its send."""
        self.node = node
        if node.message_id not in self.context.recvs:
            raise GraphError(
                f"a result in this graph came from worker {self.agent.session.names[node.source]!r} in another autograd "
                f"context than {self.context.id}: call backward with the id of the context in which the call was made, "
                f"before the end of its `with` block"
            )
        if absent and not self.fast:
            self.words.setdefault(node.source, []).append(-node.message_id)
            return
        hooks = None if absent else node.hooks
        if hooks is not None:
            g = self.hooked(run_pre, node, g)
        trace = self.agent.trace
        start_ns = time.perf_counter_ns() if trace else 0
        arrays, mask = pack_gradient(node, g if type(g) is list else [g], self.fast)
        for part in arrays:
            if part.base is not None and block_of(part):
                self.n_zero_copy += part.nbytes
            else:
                self.n_copied += part.nbytes
        self.n_gradients += 1
        sent, mask = pack_mask(tuple(arrays), mask)
        self.post(node.source, GRAD, node.message_id, RETAIN if self.retain else 0, mask, sent)
        if trace:
            note_gradient(trace, node, self.agent, self.id, start_ns)
        if hooks is not None:
            self.hooked(run_post, node, (), g)
