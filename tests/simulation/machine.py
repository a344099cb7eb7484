"""A simulated machine: threads that share a memory and move one step at a time, in the order that a scheduler says.

    machine = Machine()
    machine.spawn("producer", function)      # its kernels come from machine.of(module): nbgrad's real source
    machine.step(thread)                     # run it until just before its next access that another could notice

Each thread is a greenlet.  Before an access that other threads could notice, a primitive hands control back to whoever
called `step`; between two such points nothing else moves.  Nothing here knows time: a thread that waits names the
condition (a futex word, "anything written since"), and one that nobody will wake is a failure.

Note [Simulated memory]
~~~~~~~~~~~~~~~~~~~~~~~
Memory is sequentially consistent.  What the orders of atomics promise is checked by clocks (races.py): a plain access that
is not ordered after the last conflicting one is a failure, whatever it read.  A program without such races behaves the
same however its plain accesses are interleaved, so only atomic accesses are points, unless `plain` asks for all.
Addresses from PRIVATE on belong to the thread that allocated them: no point, no clock, no part of the state.
M1 (local)   an atomic access is no point where no other thread ever does a conflicting one.  Who touches what is learned
             while exploring; what was learned too late makes the exploration start again (explore.py).
M2 (state)   a thread is its code and what it has read, so a hash over all that it has read stands for its position and
             its locals; `here(*locals)` at the head of a loop says that the rest no longer matters.
M3 (GIL)     what is called from Python holds its process's GIL until it returns or gives it up; threads of one process
             change places between such calls only.
"""

import random

from greenlet import GreenletExit, getcurrent, greenlet

from nbgrad.jit.primitive import peek, poke
from tests.simulation.primitives import PRIVATE, primitive
from tests.simulation.races import Clocks
from tests.simulation.source import Source

ETIMEDOUT = 110


class Failure(AssertionError):
    """A schedule that breaks a promise; the message tells the schedule and its last steps."""


class Thread:
    """One simulated thread; `process` is what a kill ends."""

    def __init__(self, machine, number, name, process, function, daemon):
        self.number, self.name, self.process, self.daemon = number, name, process, daemon
        self.bit = 1 << number
        self.history = 0  # Note [Simulated memory] M2
        self.done = False
        self.n_writes = 0
        self.ready = None  # None: may move; else a function that tells
        self.asleep = 0  # address of the futex word that it sleeps on
        self.woken = 0  # what its futex wait will return
        self.error = None
        self.heap = PRIVATE + ((number + 1) << 40)
        self.greenlet = greenlet(lambda: machine.body(self, function))

    def state(self):
        """What tells two positions of this thread apart."""
        if self.done:
            return -1
        return (
            self.history if self.ready is None else (self.history, self.asleep, bool(self.ready()))
        )


class Time:
    """Stands for the module `time`: steps are microseconds."""

    def __init__(self, machine):
        self.machine = machine

    def monotonic(self):
        return self.machine.steps * 1e-6

    def perf_counter_ns(self):
        return self.machine.steps * 1000


class Machine:
    """Threads, memory and the primitives over them."""

    def __init__(self, patches=(), constants=None, plain=False):
        self.plain = plain  # plain accesses are points too
        self.words, self.private = {}, {}  # word number -> int64; address -> int64
        self.constants = {"time": Time(self)} | (constants or {})
        self.source = Source(lambda p: primitive(self, p), self.entry, patches, self.constants)
        self.learning = False  # M1 on: explore.py
        self.readers, self.writers = {}, {}  # word number -> mask of threads
        self.learned = False
        self.regions = []  # (first address, bytes, name)
        self.tracing = False
        self.seed, self.rng = 0, random.Random(0)  # what a program draws from
        self.read = primitive(self, peek)  # a word, as native code outside of kernels reads it
        self.write = primitive(self, poke)
        self.reset()

    def reset(self):
        """Forget a run, keep what is known of the program."""
        self.words.clear()
        self.private.clear()
        self.memory_hash = 0
        self.threads, self.current = [], None
        self.version = 0  # writes that others could notice
        self.clocks = Clocks()
        self.broken = None  # what went wrong where the thread itself may have caught the exception
        self.dead = set()  # processes
        self.crowded = set()  # processes with several threads
        self.gils = {}  # process -> thread that holds its GIL inside a native call
        self.watches = {}  # word number -> function(value) to be called after each atomic write
        self.on_timeout = None  # function(thread) to be called before a sleeper's slice ends
        self.steps = self.timeouts = 0
        self.trace, self.regions = [], []
        self.heap = PRIVATE + (1 << 39)
        self.functions = {}  # address -> Python function: what `call_address` calls
        self.stopping = False

    def of(self, module):
        """The kernels of a real module, over this machine's memory."""
        return self.source.module(module)

    def spawn(self, name, function, process=None, daemon=False):
        """A new thread; it starts at its first step."""
        thread = Thread(self, len(self.threads), name, process or name, function, daemon)
        if any(other.process == thread.process for other in self.threads):
            self.crowded.add(thread.process)
        self.threads.append(thread)
        self.clocks.add_thread()
        return thread

    def body(self, thread, function):
        try:
            function()
        except GreenletExit:
            raise
        except BaseException as error:
            thread.error = error
        thread.done = True

    def entry(self, function):
        """A kernel for callers in Python: Note [Simulated memory] M3."""

        def call(*args):
            me = self.current
            if me is None:
                return function(*args)
            self.take_gil(me)
            try:
                return function(*args)
            finally:
                self.drop_gil(me)

        return call

    def take_gil(self, me):
        if me.process in self.crowded:  # who gets it is the scheduler's choice
            me.ready = lambda: me.process not in self.gils
            self.switch()
            me.ready = None
        self.gils[me.process] = me
        self.clocks.acquire(me.number, me.process)

    def drop_gil(self, me):
        if self.gils.pop(me.process, None) is me:
            self.clocks.release(me.number, me.process)

    def save_thread(self):
        self.drop_gil(self.current)
        return 0

    def restore_thread(self, thread):
        self.take_gil(self.current)

    # ------------------------------------------------------------ what threads call

    def point(self, word, writes):
        """Called by primitives before an access to a word: hand control to the scheduler, unless nobody could notice."""
        me = self.current
        if me is None:
            return
        if self.stopping:
            raise GreenletExit
        if self.learning:
            readers, writers = self.readers.get(word, 0), self.writers.get(word, 0)
            if writes:
                if not writers & me.bit:
                    self.writers[word] = writers | me.bit
                    self.learned |= bool((readers | writers) & ~me.bit)
                if not (readers | writers) & ~me.bit:
                    return
            else:
                if not readers & me.bit:
                    self.readers[word] = readers | me.bit
                    self.learned |= bool(writers & ~me.bit)
                if not writers & ~me.bit:
                    return
        self.switch()
        if writes:
            self.version += 1
            me.n_writes += 1

    def switch(self):
        if self.stopping:
            raise GreenletExit
        getcurrent().parent.switch()
        me = self.current
        me.history = hash((me.history, "moved"))

    def wait_until(self, ready):
        """Stay here until `ready()`."""
        me = self.current
        if not ready():
            me.ready = ready
            self.switch()
            me.ready = None

    def written(self):
        """How often others have written: for `wait_written`."""
        return self.version - self.current.n_writes

    def wait_written(self, seen):
        """Stay here until somebody else has written since `written()` was `seen`: what a spinning loop does."""
        me = self.current
        self.wait_until(lambda: self.version - me.n_writes != seen)

    def saw(self, value):
        """The thread knows this now; the value."""
        me = self.current
        me.history = hash((me.history, value))
        return value

    def here(self, *state):
        """The rest of this thread depends on these values only (and on memory): Note [Simulated memory] M2."""
        self.current.history = hash(state)

    def sleep(self, address):
        """Futex wait, its word already compared."""
        me = self.current
        me.asleep, me.woken, me.ready = address, None, lambda: me.woken is not None
        self.switch()
        me.asleep, me.ready = 0, None
        me.history = hash((me.history, me.woken))
        return me.woken

    def wake(self, address, count):
        """Futex wake: the longest sleepers first."""
        n = 0
        for thread in self.threads:
            if (
                thread.asleep == address
                and thread.woken is None
                and n < count
                and thread.process not in self.dead
            ):
                thread.woken, n = 0, n + 1
        return n

    # ------------------------------------------------------------ what schedulers call

    def movable(self):
        """Threads that can take a step."""
        dead, gils = self.dead, self.gils
        return [
            thread
            for thread in self.threads
            if not thread.done
            and (thread.ready is None or thread.ready())
            and thread.process not in dead
            and gils.get(thread.process, thread) is thread
        ]

    def waiting(self):
        """Threads that have not ended and must end."""
        return [t for t in self.threads if not (t.done or t.daemon or t.process in self.dead)]

    def step(self, thread):
        """Let the thread do its next access and go on to just before the one after it."""
        self.steps += 1
        self.current = thread
        thread.greenlet.switch()
        self.current = None
        if self.broken is not None:
            raise Failure(f"{thread.name}: {self.broken}")
        if thread.error is not None:
            raise Failure(
                f"{thread.name}: {type(thread.error).__name__}: {thread.error}"
            ) from thread.error

    def kill(self, process):
        """End a process between two of its accesses."""
        self.dead.add(process)
        self.version += 1
        if self.tracing:
            self.trace.append(f"kill -9 of {process}")

    def time_out(self, thread):
        """End a sleeper's slice."""
        if self.on_timeout is not None and not self.dead:
            self.on_timeout(thread)
        thread.woken = ETIMEDOUT
        self.timeouts += 1

    def stop(self):
        """End all threads that are still somewhere; what their handlers try on the way out ends at its first access."""
        self.stopping = True
        for thread in self.threads:
            if thread.greenlet and not thread.done:
                self.current = thread
                thread.greenlet.throw()
        self.current = None

    def state(self):
        """A number that is the same for two states from which the same can happen."""
        return hash((self.memory_hash, *[thread.state() for thread in self.threads]))

    # ------------------------------------------------------------ memory

    def get(self, word):
        return self.words.get(word, 0)

    def put(self, word, value):
        """Write a word; the hash over all words follows."""
        old = self.words.get(word, 0)
        if old != value:
            self.memory_hash ^= hash((word, old)) ^ hash((word, value))
            self.words[word] = value

    def allocate(self, n_bytes):
        """Private memory, of the current thread if there is one."""
        owner = self.current or self
        address = owner.heap
        owner.heap += (n_bytes + 63) & -64
        return address

    def name_region(self, address, n_bytes, name):
        """What traces call this range."""
        self.regions.append((address, n_bytes, name))

    def name(self, address):
        """The address for a person."""
        fitting = [r for r in self.regions if r[0] <= address < r[0] + r[1]]
        if not fitting:
            return f"{address:#x}"
        first, _, name = min(fitting, key=lambda r: r[1])
        return f"{name} +{address - first}" if address != first else name

    def note(self, operation, address, text):
        """One line of the trace."""
        who = self.current.name if self.current else "set-up"
        self.trace.append(f"{who}: {operation} {self.name(address)} {text}")
