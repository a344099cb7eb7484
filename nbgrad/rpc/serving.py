"""Serving threads: they run requests, and stand by for messages when nobody is in front.

Note [Serving]
~~~~~~~~~~~~~~
S1 (one idle)  whenever a serving thread begins to run user code, another one is idle or has been started; so a message or
               request always finds somebody, however long user code blocks.
S2 (no crowd)  threads that would exceed `QUICK` begin 100 ms after the one before, so a burst of short requests makes no
               crowd; but at once when all others are inside nbgrad's waits (! nested calls took 100 ms a level).  Threads
               beyond two that had nothing to do for 10 s end.
S3 (bounded)   there are `MOST` threads at most, or as many as the system gives.  If all of them are inside requests, and for
               `STUCK_S` none of these has begun, gone on or ended, then what they wait for may be among the requests in the
               queue, which no thread is left for: these are refused, each with an RpcError at its caller.
"""

import contextlib
import signal
import threading
import time
import traceback
from collections import deque
from typing import Any

from nbgrad.errors import NbgradError, RpcError
from nbgrad.logs import logger
from nbgrad.rpc.future import Future, is_late, lateness, run_callbacks
from nbgrad.rpc.hung import stopped
from nbgrad.shm import bell, words
from nbgrad.shm.layout import BUSY, QUEUED

QUICK, DELAY_S, MOST = 4, 0.1, 1000
IDLE_S, STUCK_S = 10.0, 10.0
FIRST_SLICE_NS, SLICE_NS, IDLE_SLICE_NS = 5_000_000, 8_000_000, 200_000_000
SHARE_NS = 250_000_000  # a slice is a quarter of the time since something came


class UserCode:
    """Work that runs functions of the user: a base class."""

    __slots__ = ()
    has_user_code = True

    def may_run_for(self, waited: Any) -> bool:
        """Never on a thread that waits inside user code (! its own wake-up may be what this needs)."""
        return False


class Callbacks(UserCode):
    """Callbacks of a call that has ended: run by none of the threads that may find that out, which may hold the role."""

    __slots__ = ("callbacks", "future")

    def __init__(self, future: Future, callbacks: list):
        self.future, self.callbacks = future, callbacks

    def __call__(self) -> None:
        run_callbacks(self.future, self.callbacks)


class Serving:
    """The serving threads of one agent."""

    def __init__(self, agent: Any):
        self.agent = agent
        self.queue: deque = deque()
        self.lock = threading.Lock()
        self.n_threads = self.n_idle = self.n_waiting = self.n_refused = 0
        self.last_start = self.last_look = 0.0
        self.n_steps = self.n_seen = 0  # requests that have begun, ended or gone on: S3
        self.most, self.stuck_s = MOST, STUCK_S
        self.stopping = False
        self.threads: list = []
        self.delayed: deque = deque()  # of threads that have not begun: what each of them waits for
        self.next_deadline = float("inf")
        self.deadlines: list = []  # functions: when something that is no call of ours will be late
        self.own_thread = threading.local()
        self.at_slice_end: list = []  # functions: what is to be done now and then, by an idle thread

    def start(self) -> None:
        self.start_thread(0.0)
        self.start_thread(0.0)

    def start_thread(self, delay_s: float) -> None:
        begin = threading.Event() if delay_s else None
        with self.lock:
            if self.stopping or self.n_threads >= self.most:
                return
            if begin is not None:
                self.delayed.append(begin)
            self.n_threads += 1
            self.n_idle += 1
            self.last_start = time.monotonic() + delay_s
            if self.n_threads > QUICK:
                logger.info(
                    "%d threads serve requests now, %d of them in nested calls",
                    self.n_threads,
                    self.n_waiting,
                )
        thread = threading.Thread(
            target=self.loop, args=(delay_s, begin), daemon=True, name="nbgrad serving"
        )
        self.threads.append(thread)
        # A new thread inherits the signal mask: SIGINT is for the main thread, whose wait it ends (W3).
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            thread.start()
        except RuntimeError:  # the system has no more: S3
            self.threads.remove(thread)
            with self.lock:
                self.n_threads -= 1
                self.n_idle -= 1
                self.most = self.n_threads
                if begin is not None:
                    self.delayed.remove(begin)
            if self.n_threads == 0:
                raise
            logger.warning(
                "no more than %d threads can serve requests: the system starts no more", self.most
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    # ------------------------------------------------------------ requests

    def submit(self, work: Any) -> None:
        """Have a serving thread run `work()`."""
        with self.lock:
            self.queue.append(work)
            words.store(self.agent.own + QUEUED, 1)
        bell.wake_standby(self.agent.own)

    def fail(self, future: Future, error: BaseException) -> None:
        """End a call with an error, unless it has just ended; this thread may hold the role (Note [Role] W1)."""
        try:
            callbacks = future.settle(None, error)
        except RuntimeError:
            return
        if callbacks:
            work = Callbacks(future, callbacks)
            if self.agent.closing:  # then nobody holds the role, and nobody may serve
                work()
            else:
                self.submit(work)
        self.agent.changed()

    def wake(self) -> None:
        """There are messages in the backlog."""
        words.store(self.agent.own + QUEUED, 1)
        bell.wake_standby(self.agent.own)

    def grow(self) -> None:
        """S1: a serving thread is about to be busy."""
        if self.n_idle <= 0 and not self.stopping:
            quick = self.n_threads < QUICK or self.n_waiting >= self.n_threads
            pause = 0.0 if quick else max(0.0, self.last_start + DELAY_S - time.monotonic())
            self.start_thread(pause)

    def entered_wait(self) -> None:
        """A thread begins to wait inside user code; a serving one may be needed meanwhile."""
        if getattr(self.own_thread, "serving", False):
            with self.lock:
                self.n_waiting += 1
                if self.delayed and self.n_waiting + len(self.delayed) >= self.n_threads:
                    self.delayed[0].set()  # S2: nobody else is awake
            self.grow()

    def left_wait(self) -> None:
        if getattr(self.own_thread, "serving", False):
            with self.lock:
                self.n_waiting -= 1
            self.n_steps += 1

    def loop(self, delay_s: float, begin: Any) -> None:
        agent = self.agent
        self.own_thread.serving = True
        if begin is not None:
            begin.wait(delay_s)
            with self.lock:
                self.delayed.remove(begin)
        wait_standby = agent.binding.wait_standby
        idle_since = 0.0  # 0: since the last slice
        while not self.stopping:
            try:
                if self.queue:
                    self.take_from_queue()
                    idle_since = 0.0
                elif wait_standby(self.slice()):
                    self.stand_in()
                    self.tidy()  # under steady traffic no slice ends by time
                    idle_since = 0.0
                else:
                    self.look()
                    idle_since = idle_since or time.monotonic()
                    if time.monotonic() - idle_since >= IDLE_S and self.may_end():
                        return
            except (
                Exception
            ):  # of a callback, or a bug: said on stderr, and the thread goes on serving (S1)
                if not self.stopping:
                    traceback.print_exc()
                if agent.error is not None:
                    break  # this worker has given up
        self.may_end(least=0)

    def may_end(self, least: int = 2) -> bool:
        """Whether this idle thread is one more than `least`; it is counted as ended then (S2)."""
        with self.lock:
            if self.n_idle - len(self.delayed) <= least and least:
                return False
            self.n_idle -= 1
            self.n_threads -= 1
            if not self.stopping:  # `stop` waits for those that it finds
                self.threads.remove(threading.current_thread())
        return True

    def take_from_queue(self) -> None:
        with self.lock:
            work = (
                self.queue.popleft() if self.queue else None
            )  # another thread may have been faster
            words.store(self.agent.own + QUEUED, int(bool(self.queue or self.agent.backlog)))
        if work is not None:
            self.busy(work)

    def busy(self, work: Any) -> None:
        with self.lock:
            self.n_idle -= 1
        self.n_steps += 1
        self.grow()
        try:
            work()
        finally:
            with self.lock:
                self.n_idle += 1
            self.n_steps += 1

    def stand_in(self) -> None:
        """Nobody in front takes the messages: take them."""
        agent = self.agent
        if self.queue:
            return
        if not agent.role.acquire(False):
            time.sleep(0)
            return
        with self.lock:
            words.store(agent.own + QUEUED, int(bool(self.queue)))
        bell.enter(agent.own)
        work = None
        try:
            message = agent.next_message(0)
            while message is not None:
                work = agent.handle(message)
                if work is not None:
                    break
                message = agent.next_message(0)
        finally:
            agent.leave_role()
            try:
                if work is not None:
                    words.fetch_add(agent.own + BUSY, 1)
                    try:
                        self.busy(work)
                    finally:
                        words.fetch_add(agent.own + BUSY, -1)
            finally:
                bell.leave(agent.own)

    # ------------------------------------------------------------ time

    def slice(self, is_first: bool = False) -> int:
        """How long to sleep at most, in ns: short when there is traffic, up to the next deadline.

        The first slice of a wait is short enough to begin with a spin (waiting.py).
        """
        now = time.monotonic()
        if is_first:
            most = FIRST_SLICE_NS
        else:
            quiet_ns = int((now - self.agent.last_message) * SHARE_NS)
            most = min(max(quiet_ns, SLICE_NS), IDLE_SLICE_NS)
        if self.next_deadline < now + 0.2:
            return max(100_000, min(most, int((self.next_deadline - now) * 1e9)))
        return most

    def look(self) -> None:
        """At the end of a slice: messages whose bell was not heard, deadlines, deaths."""
        agent = self.agent
        self.check_deadlines()
        if not agent.closing:
            agent.check_blocks()
        if not agent.closing and agent.futures:
            with contextlib.suppress(NbgradError):  # the futures tell it
                agent.check()
                agent.fail_departed()
        self.tidy()
        if agent.backlog and not self.queue:
            self.stand_in()

    def tidy(self) -> None:
        """What is to be done now and then."""
        if not self.agent.closing:
            for task in self.at_slice_end:
                task()

    def note_deadline(self, deadline: float) -> None:
        """Slices end in time for it."""
        if deadline < self.next_deadline:
            self.next_deadline = deadline

    def check_stuck(self) -> None:
        """S3: refuse what is in the queue if nothing else can ever begin."""
        if self.n_threads < self.most or self.n_idle > 0 or not self.queue or self.stopping:
            return
        now = time.monotonic()
        if self.n_steps != self.n_seen or now - self.last_look > 2 * self.stuck_s:
            self.n_seen, self.last_look = (
                self.n_steps,
                now,
            )  # something went on, or nobody looked for long
        elif now - self.last_look > self.stuck_s:
            self.last_look = now
            # By a thread that holds no role: it posts, and must be able to drain.
            threading.Thread(target=self.refuse_queue, daemon=True, name="nbgrad refusal").start()

    def refuse_queue(self) -> None:
        """Answer all requests in the queue with an error."""
        kept = []
        error = RpcError(
            f"worker {self.agent.session.name!r} does not run this call: {self.n_threads} calls are under way there, a "
            f"thread for each, and it has no more. {self.n_waiting} of them wait for other calls, and none has begun, gone on or "
            f"ended for {self.stuck_s:g} s, so what they wait for may be this very call. Have fewer calls under way that wait "
            f"inside, or use rpc.functions.async_execution, whose calls wait without a thread."
        )
        while self.queue:
            with self.lock:
                work = self.queue.popleft() if self.queue else None
            refuse = getattr(work, "refuse", None)
            if refuse is not None:
                self.n_refused += 1
                refuse(error)
            elif work is not None:
                kept.append(work)
        with self.lock:
            self.queue.extendleft(reversed(kept))
        logger.warning("has refused %d calls so far: %s", self.n_refused, error)

    def check_deadlines(self) -> None:
        """Finish the calls that are late."""
        self.check_stuck()
        if time.monotonic() < self.next_deadline:
            return
        self.next_deadline = float("inf")
        for call, future in list(self.agent.futures.items()):
            if is_late(future):
                if self.agent.futures.pop(call, None) is not None:  # else another thread ends it
                    self.fail(future, lateness(future, stopped(self.agent.session)))
            elif future.deadline:
                self.next_deadline = min(self.next_deadline, future.deadline)
        for earliest in self.deadlines:
            self.note_deadline(earliest())

    def stop(self) -> None:
        self.stopping = True
        for begin in list(self.delayed):
            begin.set()
        me = threading.current_thread()
        for _ in range(200):
            words.fetch_add(self.agent.own + QUEUED, 1)
            bell.wake_standby(self.agent.own)
            alive = [thread for thread in self.threads if thread is not me and thread.is_alive()]
            if not alive:
                break
            alive[0].join(0.01)
        words.exchange(self.agent.own + QUEUED, 0)
        for work in [work for work in self.queue if type(work) is Callbacks]:
            work()  # whoever waits for what they bring is told
