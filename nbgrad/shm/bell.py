"""Doorbell: how a worker learns that rings have messages, and how it sleeps until then.

Note [Doorbell]
~~~~~~~~~~~~~~~
The word holds one bit per sender and SLEEP.  A sender publishes its record, then ORs its bit in, then looks at what it
found: SLEEP means that the holder of the role sleeps on the word, so wake it.  The consumer takes all bits by exchange(0)
BEFORE it looks into the rings.  To sleep it exchanges 0 for SLEEP, which fails if a bit is set.
Assumes  one thread at a time consumes (it holds the role); all operations on the word are atomic read-modify-writes.
B1 (not lost)   a record published before `knock` is seen by the exchange that takes the bit, or by a later one: the bit is
                set after the record, and taken before the ring is read (! the other order loses a bit set in between).
B2 (not slept)  if the consumer sleeps, the word was SLEEP, so every later knock sees SLEEP and wakes; a knock before it
                makes the CAS fail.
B3 (hint)       a wake-up too many or a slice that ends early is harmless: the caller looks at the rings again.

Standby: a worker whose threads all compute has nobody in front (FRONT = 0).  The sender then wakes the standby thread.
B4 (somebody)   the sender publishes, then reads FRONT; a thread leaving the front decrements FRONT, then looks at the
                rings (`leave`).  Both are sequentially consistent, so at least one of them sees the other.  The same holds
                for a standby thread going to sleep (it counts itself, then looks) and the sender.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import (
    cas32,
    exchange32,
    fence,
    fetch_add,
    fetch_add32,
    fetch_or32,
    load,
    load32,
)
from nbgrad.shm.futex import ALL, wake
from nbgrad.shm.layout import BELL, BUSY, EPOCH, FRONT, PAGE, SENDERS, SLEEP, STANDBY, STATE, TAKEN
from nbgrad.shm.ring import is_unread


@kernel("nn=n")
def knock(worker, bit):
    """Tell `worker` (address of its block) that there is a record; 1 if somebody had to be woken."""
    # Pairs with take_bits (exchange) and fall_asleep (CAS): Note [Doorbell] B1, B2.
    if fetch_or32(worker + BELL, bit) & SLEEP != 0:
        wake(worker + BELL, 1)
        return 1
    # Pairs with `leave` and the standby's sleep: Note [Doorbell] B4.
    if load(worker + FRONT) == 0 and load32(worker + STANDBY + 4) > 0:
        return wake_standby(worker)
    return 0


@kernel("n=n")
def wake_standby(worker):
    """Wake the worker's standby thread; 1."""
    fetch_add32(worker + STANDBY, 1)
    wake(worker + STANDBY, 1)
    return 1


@kernel("n=n")
def take_bits(worker):
    """Take all bits: the senders whose rings must be looked into after this call."""
    return exchange32(worker + BELL, 0) & SENDERS


@kernel("n=n")
def fall_asleep(worker):
    """1 if the word is SLEEP now and the caller may sleep on it, 0 if a bit is set."""
    return 1 if cas32(worker + BELL, 0, SLEEP) == 0 else 0


@kernel("n=n")
def stand_up(worker):
    """After the sleep: take SLEEP away; 1 if a bit is set."""
    return 1 if cas32(worker + BELL, SLEEP, 0) != SLEEP else 0


@kernel("n")
def enter(worker):
    """A thread comes to the front: it will look at the bell itself."""
    fetch_add(worker + FRONT, 1)


@kernel("n")
def put_back(worker):
    """The role changes hands: bits that were taken and not drained are set again for the next holder."""
    taken = peek(worker + TAKEN)
    if taken != 0:
        poke(worker + TAKEN, 0)
        fetch_or32(worker + BELL, taken)


@kernel("n")
def leave(worker):
    """A thread leaves the front; if it was the last one and bits are set, the standby takes over."""
    # Pairs with `knock`: Note [Doorbell] B4.
    if fetch_add(worker + FRONT, -1) == 1:  # noqa: SIM102  the order of the loads matters
        if load32(worker + BELL) & SENDERS != 0 and load32(worker + STANDBY + 4) > 0:
            wake_standby(worker)


@kernel("n")
def bump_epoch(worker):
    """Something changed that threads of this process may wait for: those that sleep on the epoch look again."""
    fetch_add32(worker + EPOCH, 1)
    fence()
    # Pairs with the count of sleepers in wait.epoch: it counts itself, then compares the epoch.
    if load32(worker + EPOCH + 4) > 0:
        wake(worker + EPOCH, ALL)


@kernel("nn")
def rouse(worker, bit):
    """Tell `worker` that something in shared memory has changed, without a record: all of its threads look again."""
    # The bit may be cleared by a `take` that finds no record, so whoever took it looks once more before it sleeps.
    bump_epoch(worker)
    knock(worker, bit)


@kernel("nnn")
def relieve(own, worker, ring):
    """Before a sender sleeps: its message still lies with a worker whose front thread runs a request; wake the standby."""
    if load(worker + BUSY) > 0 and is_unread(ring) != 0 and load32(worker + STANDBY + 4) > 0:
        wake_standby(worker)


@kernel("nnn=n")
def all_reached(first_worker, world, state):
    """1 if STATE of every worker is at least `state`."""
    for rank in range(world):
        if load(first_worker + rank * PAGE + STATE) < state:
            return 0
    return 1


@kernel("n=n")
def sleepers(worker):
    """How many standby threads sleep now (for tests and statistics)."""
    return peek(worker + STANDBY) >> 32
