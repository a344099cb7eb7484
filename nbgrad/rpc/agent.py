"""Agent: the messages of one worker. Who posts, who pops, who waits, who runs requests.

Note [Role]
~~~~~~~~~~~
The *role* is the right to pop messages: a process-private try-lock, held while polling or sleeping on the doorbell and
while finishing futures, never while running requests or nodes.  A waiting thread loops: what I wait for is there: return;
I get the role: pop and handle; else sleep on the epoch, with the value read before these checks.
Handlers return None, or work to be run without the role.  A request popped by a thread that waits inside user code goes
to the serving threads (! run there, its own wake-up may be what that code waits for).
W1 (all handled)  leaving the role puts taken bits back and bumps the epoch; leaving the front wakes the standby
                  if bits are set; a sender that finds the front busy or empty wakes the standby itself.  One serving thread
                  is always idle or being started (serving.py).
W2 (not lost)     the epoch is read before the checks, and changed after whatever they look at.
W3 (noticed)      each slice ends with a look at poison words, deadlines and signals; slices are 5 ms at
                  first, longer the longer nothing has come, 200 ms at most.  Ctrl-C never falls between taking and handling
                  (Note [Interrupts]).
"""

import contextlib
import ctypes
import threading
import time
from collections import deque
from threading import get_ident
from typing import Any, NoReturn

from nbgrad import logs
from nbgrad.errors import NbgradError, ProtocolError, RpcError
from nbgrad.rpc import codec, fault, transfer
from nbgrad.rpc.departures import Departures
from nbgrad.rpc.future import Future, agents
from nbgrad.rpc.interrupts import HELD, Hold, holder, of_main, of_others
from nbgrad.rpc.joint import Joint
from nbgrad.rpc.message import ARRAYS, CALL, CHUNK, EXTRA, KIND, PARTS, SOURCE
from nbgrad.rpc.patience import Patience, warning_s
from nbgrad.rpc.serving import FIRST_SLICE_NS, Serving
from nbgrad.shm import bell, words
from nbgrad.shm.binding import Binding, current
from nbgrad.shm.layout import BUSY as BUSY_WORD
from nbgrad.shm.layout import EPOCH, PAGE
from nbgrad.shm.record import BROKEN
from nbgrad.shm.wire import BUSY, CORRUPT, FULL, OUTSTANDING, SENT, TOO_LARGE, UNREADABLE


class Agent:
    """One worker's end of all rings."""

    def __init__(self, session: Any):
        self.session = session
        self.rank, self.world = session.rank, session.world
        self.binding = Binding(session.segment, session.layout, session.rank)
        self.own = self.binding.own
        self.native_post, self.take = self.binding.post, self.binding.take
        self.wait_bell, self.wait_epoch = self.binding.wait_bell, self.binding.wait_epoch
        self.epoch_word = self.own + EPOCH
        self.everybody = ((1 << self.world) - 1) & ~(1 << self.rank)
        self.role = threading.Lock()
        self.backlog: deque = deque()  # messages popped by a sender that found a ring full
        self.handlers: dict = {}
        self.joint: Any = Joint()
        self.futures: dict = {}  # call id -> future of a call under way
        self.n_calls = 0
        self.closing = False
        self.error: BaseException | None = None  # why this worker has given up
        self.trace: Any = logs.tracer()  # function(kind, name, start_ns, flow), if somebody asks
        self.patience = Patience(self, warning_s())
        self.last_message = time.monotonic()
        self.transfers = transfer.Transfers(self)
        self.handlers[CHUNK] = self.transfers.add
        self.handlers[BROKEN] = self.on_broken
        self.departures = Departures(session)
        self.serving = Serving(self)
        agents.append(self)
        current.append(self.binding)

    def start(self) -> None:
        self.serving.start()

    def on(self, kind: int, handler: Any) -> None:
        """Call `handler(message)` for messages of a kind, with the role held; it may return work to run without it."""
        self.handlers[kind] = handler

    # ------------------------------------------------------------ posting

    def post(
        self, target: int, row: int, kind: int, h0: int, h1: int, h2: int, h3: int, h4: int, h5: int,
        arrays: tuple, extra: bytes | None,
    ) -> bool:  # fmt: skip
        """Send one message; `row` is the pass that counts it, or 0.

        Waits while the ring is full.  False if the message is not sent because nobody waits for it any more: its call has
        failed meanwhile, or the target has left the group.

        Raises
        ------
        RpcError
            If the target has left the group while a pass waits for it.
        WorkerDied
            If the target, or another worker of a group that stops on a death, has ended.
        RpcEncodeError
            If an array can't travel.
        ProtocolError
            If an array has lost its block: Note [Faults] of shm/record.py.
        """
        if target == self.rank:
            self.post_to_self(row, (target, kind, h0, h1, h2, h3, h4, h5, arrays, extra))
            return True
        while True:
            status = self.native_post(target, row, kind, h0, h1, h2, h3, h4, h5, arrays, extra)
            if status == SENT:
                return True
            if status == FULL:
                self.drain()
                if self.is_in_vain(target, row, kind, h0, h3):
                    return False
            elif status == BUSY:
                time.sleep(0)  # let another thread of this process finish its in-place update
            elif status == UNREADABLE:
                arrays, kind = codec.readable(arrays, kind)
            elif status == TOO_LARGE:
                fitted = self.transfers.fit(target, kind, h0, arrays, extra)
                if fitted is None:
                    return False
                arrays, extra, kind = fitted
            elif status == CORRUPT:
                self.check_blocks()

    def is_in_vain(self, target: int, row: int, kind: int, h0: int, h3: int) -> bool:
        """Whether a message that has found its ring full need not be sent any more."""
        self.serving.check_deadlines()
        has_left = self.fail_departed() >> target & 1
        if has_left and row:
            raise self.departures.error(1 << target)
        call = h3 if kind == CHUNK else h0 if kind & (PARTS - 1) == CALL else 0
        return bool(has_left) or (call > 0 and call not in self.futures)

    def post_to_self(self, row: int, message: tuple) -> None:
        arrays = tuple([a.copy() for a in message[ARRAYS]])
        hold = holder()
        before = hold.enter()
        try:
            if row:
                words.fetch_add(row + OUTSTANDING, 1)
            work = self.handle(message[:ARRAYS] + (arrays, message[EXTRA]))
            if work is not None:
                self.serving.submit(work)
            else:
                self.changed()  # no bell has rung for whoever waits for this (W2)
        finally:
            hold.leave(before)

    def drain(self) -> None:
        """A ring is full: pop what has come here, run nothing, so that two full rings can't wait for each other."""
        hold = holder()
        before = hold.enter()
        try:
            if self.role.acquire(False):
                try:
                    message = self.take(self.everybody)
                    if message is None:
                        self.wait_bell(100_000)
                    while message is not None:
                        self.backlog.append(message)
                        message = self.take(0)
                finally:
                    self.leave_role()
                if self.backlog:
                    self.serving.wake()
            else:
                self.wait_epoch(words.load(self.epoch_word) & 0xFFFFFFFF, 100_000)
        finally:
            hold.leave(before)
        self.session.check()

    # ------------------------------------------------------------ popping

    def next_message(self, mask: int) -> Any:
        """The next message, or None; the caller holds the role."""
        if self.backlog:
            return self.backlog.popleft()
        return self.take(mask)

    def handle(self, message: tuple) -> Any:
        """Run the handler of a message: None, or work to be run without the role."""
        kind = message[KIND]
        try:
            if kind >= PARTS:
                arrays, extra = message[ARRAYS], message[EXTRA]
                if kind > 255:
                    arrays, extra = self.transfers.finish(message[SOURCE], kind >> 8)
                if kind & PARTS:
                    arrays = codec.joined(arrays)
                kind &= PARTS - 1
                message = (message[SOURCE], kind, *message[2:ARRAYS], arrays, extra)
            return self.handlers.get(kind, self.on_broken)(message)
        except ProtocolError as error:
            self.give_up(error)

    def on_broken(self, message: tuple) -> None:
        """A message that no worker writes, or of a kind that there is not."""
        raise fault.of_message(message, self.session.names, self.rank)

    def check_blocks(self) -> None:
        """Give up if an array of this process has lost its block."""
        found = self.binding.fault()
        if found is not None:
            self.give_up(fault.of_block(found, self.session.layout, self.session.names))

    def give_up(self, error: BaseException) -> NoReturn:
        """Shared memory is not what it should be: take nothing from it any more, tell the others, and raise the error."""
        if self.error is None:
            self.error = error
            self.native_post = self.take = fault.raised(error)
            self.session.give_up()
            self.fail_all(error)
        raise self.error

    def leave_role(self) -> None:
        bell.put_back(self.own)
        self.role.release()
        bell.bump_epoch(self.own)

    def changed(self) -> None:
        """Something that a thread may wait for has changed: all waiting threads look again."""
        bell.bump_epoch(self.own)
        if self.role.locked():  # its holder may sleep on the bell: a bit of our own wakes it
            bell.knock(self.own, 1 << self.rank)

    # ------------------------------------------------------------ waiting

    def wait(self, future: Any, serving: bool = False) -> None:
        """Handle messages until `future.finished`.  `serving`: this thread may run requests itself.

        Raises
        ------
        WorkerDied
            If a worker has ended, and the future is not finished.
        """
        role = self.role
        hold = of_main if get_ident() == of_main.thread else of_others
        before, hold.state = hold.state, HELD
        is_inside = not serving and hold is not of_main  # (the main thread is no serving thread)
        if is_inside:
            self.serving.entered_wait()
        bell.enter(self.own)
        try:
            while not future.finished and not hold.noted:
                if role.acquire(False):
                    work = None
                    try:
                        work = self.pop_until(future, hold)
                    finally:
                        self.leave_role()
                    if work is not None:
                        self.run(work, serving, future)
                else:
                    seen = words.load(self.epoch_word) & 0xFFFFFFFF
                    if future.finished or not role.locked():
                        continue  # looked at after `seen` was read: who leaves the role later moves the epoch (W2)
                    if not self.wait_epoch(seen, self.serving.slice()):
                        self.look(future)
        finally:
            bell.leave(self.own)
            if is_inside:
                self.serving.left_wait()
            if self.patience.waits:
                self.patience.forget()
            hold.state = before
            if hold.noted:
                hold.leave(before, waited=True)

    def pop_until(self, future: Any, hold: Hold) -> Any:
        """Pop and handle messages until the future is finished, there is work or Ctrl-C; the caller holds the role."""
        mask, handled, is_first = 0, False, True
        handlers, serving, backlog = self.handlers, self.serving, self.backlog
        is_far = serving.next_deadline > self.last_message + 1.0  # s: no first slice is cut
        while True:
            message = backlog.popleft() if backlog else self.take(mask)
            if message is not None:
                mask, handled, is_first = 0, True, True
                handler = handlers.get(message[KIND])
                try:
                    work = self.handle(message) if handler is None else handler(message)  # (flags)
                except ProtocolError as error:
                    self.give_up(error)
                if work is not None:
                    return work
                if future.finished:
                    return None
            elif handled:  # other threads may wait for what came: Note [Role] W2
                handled = False
                bell.bump_epoch(self.own)
            elif (
                future.finished
            ):  # the bit that `take` has just cleared may have meant that, and no message
                return None
            elif hold.noted:
                return None
            elif self.wait_bell(FIRST_SLICE_NS if is_first and is_far else serving.slice(is_first)):
                mask, is_first = 0, True
                self.last_message = time.monotonic()
            else:
                self.look(future)
                mask, is_first = self.everybody, False  # the doorbell is a hint

    def run(self, work: Any, serving: bool, waited: Any) -> None:
        """Run what a handler gave back, here if this thread, which waits for `waited`, may; else on a serving thread."""
        if not serving and work.has_user_code and not work.may_run_for(waited):
            self.serving.submit(work)
            return
        words.fetch_add(self.own + BUSY_WORD, 1)
        try:
            work()
        finally:
            words.fetch_add(self.own + BUSY_WORD, -1)

    def look(self, future: Any) -> None:
        """At the end of a slice: deaths, deadlines."""
        self.serving.check_deadlines()
        self.patience.look(future)
        if not self.closing and not future.finished:
            self.check()
            gone = self.fail_departed()
            if gone and gone & getattr(future, "targets", 0) and not future.finished:
                raise self.departures.error(gone)

    def check(self) -> None:
        """Raise if a worker has died, or this one has given up; then all calls under way fail with that."""
        self.check_blocks()
        self.session.check_process()
        try:
            self.session.check()
        except NbgradError as error:
            told = self.error or error
            self.fail_all(told)
            raise told from None

    def fail_departed(self) -> int:
        """Fail the calls to workers that have left the group; the mask of those workers."""
        gone = self.departures.mask()
        if gone:
            for call, future in list(self.futures.items()):
                if future.targets & gone and self.futures.pop(call, None) is not None:
                    self.serving.fail(future, self.departures.error(gone & future.targets))
        return gone

    def fail_all(self, error: BaseException) -> None:
        """A worker has ended: every call under way fails with that."""
        while self.futures:
            with contextlib.suppress(KeyError):  # another thread took the last one
                self.serving.fail(self.futures.popitem()[1], error)

    # ------------------------------------------------------------ calls under way

    def new_call(self, future: Future) -> int:
        self.n_calls = call = self.n_calls + 1
        self.futures[call] = future
        return call

    def set_deadline(self, future: Future, seconds: float) -> None:
        future.timeout = seconds
        future.deadline = deadline = time.monotonic() + seconds
        if deadline < self.serving.next_deadline:
            self.serving.next_deadline = deadline

    def follow(self, future: Future, text: str, seconds: float) -> Future:
        """A future without a result that finishes with a future of this worker, or is late after `seconds` (0: never)."""
        follower = Future(agent=self)
        follower.text = text
        call = self.new_call(follower)
        if seconds > 0:
            self.set_deadline(follower, seconds)

        def finish(_: Future) -> None:
            if self.futures.pop(call, None) is not None:
                follower.finish(None, None)

        future.add_done_callback(finish)
        return follower

    def stop(self) -> None:
        """End the serving threads; a thread may still be inside a request, and what it does later must not reach shared memory,
        where the next group of these processes may live by then.
        """
        self.closing = True
        self.fail_all(
            RpcError("this worker has left the group while a call of its own was under way")
        )
        self.changed()
        self.serving.stop()
        self.native_post = self.take = fault.raised(
            RpcError("this worker has left its group, so nothing can be sent any more")
        )
        self.spare = ctypes.create_string_buffer(2 * PAGE)
        self.own = ctypes.addressof(self.spare) + PAGE & -PAGE
        self.epoch_word = self.own + EPOCH
        if agents and agents[-1] is self:
            agents.pop()
            current.remove(self.binding)
