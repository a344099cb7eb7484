"""Waiting: a short spin, then yields, then a futex slice; three places to sleep.  All are built by `@fastcall`.

A long slice begins without a spin: it follows others in which nothing came, and workers that compute need the core.

Each call is one slice at most and says what it saw: 1 something came, 0 the slice is over (or a signal, or a wake-up
without reason).  The caller looks at poison words and signals between slices; nothing waits without bound.
"""

from nbgrad.jit import fastcall, kernel
from nbgrad.jit.fastcall import from_int, restore_thread, save_thread, to_int
from nbgrad.jit.primitive import external, peek
from nbgrad.shm.atomics import fence, fetch_add32, load, load32, pause
from nbgrad.shm.bell import fall_asleep, relieve, stand_up
from nbgrad.shm.futex import wait
from nbgrad.shm.layout import BELL, BUSY, EPOCH, FRONT, QUEUED, SENDERS, STANDBY

# Waking a sleeper costs 60-95 us; a message that comes during the pauses is seen after 0.1 us (two cores), one during
# the yields after 12 us (one core for both).
SPIN_NS = 5_000_000  # slices up to this begin with a spin; a longer one follows others in which nothing came
PAUSES, YIELDS = 100, 200
sched_yield = external("sched_yield", 0)


@fastcall
def wait_bell(block, args, n_args):
    """wait_bell(timeout_ns) -> 1 a bit of the doorbell is set, 0 slice over.

    Block: own worker block, own rank, world, first worker block, worker block bytes, first outgoing ring, ring bytes.
    """
    own = peek(block)
    timeout = from_int(peek(args))
    spins = timeout <= SPIN_NS
    for _ in range(PAUSES if spins else 1):
        if load32(own + BELL) & SENDERS != 0:
            return to_int(1)
        pause()
    thread = save_thread()
    came = 0
    for _ in range(YIELDS if spins else 0):
        sched_yield()
        if load32(own + BELL) & SENDERS != 0:
            came = 1
            break
    if came == 0:
        rank, world = peek(block + 8), peek(block + 16)
        for peer in range(world):
            if peer != rank:
                relieve(
                    own,
                    peek(block + 24) + peer * peek(block + 32),
                    peek(block + 40) + peer * peek(block + 48),
                )
        if fall_asleep(own) != 0:
            wait(own + BELL, 1 << 31, timeout)
            came = stand_up(own)
        else:
            came = 1
    restore_thread(thread)
    return to_int(came)


@fastcall
def wait_epoch(block, args, n_args):
    """wait_epoch(seen, timeout_ns) -> 1 the epoch is no longer `seen`, 0 slice over.  Block: own worker block."""
    word = peek(block) + EPOCH
    seen, timeout = from_int(peek(args)), from_int(peek(args + 8))
    if load32(word) != seen:
        return to_int(1)
    thread = save_thread()
    fetch_add32(word + 4, 1)
    fence()
    if load32(word) == seen:
        wait(word, seen, timeout)
    fetch_add32(word + 4, -1)
    restore_thread(thread)
    return to_int(1 if load32(word) != seen else 0)


@kernel("n=n")
def is_needed(own):
    """1 if a request waits for a serving thread, or messages lie there and nobody in front is free to take them."""
    if load(own + QUEUED) > 0:
        return 1
    return 1 if load32(own + BELL) & SENDERS != 0 and load(own + FRONT) <= load(own + BUSY) else 0


@fastcall
def wait_standby(block, args, n_args):
    """wait_standby(timeout_ns) -> 1 there is a message and nobody in front to take it, 0 slice over.  Block: own worker block."""
    own = peek(block)
    timeout = from_int(peek(args))
    thread = save_thread()
    fetch_add32(own + STANDBY + 4, 1)
    fence()
    # Pairs with bell.knock and bell.leave: Note [Doorbell] B4.
    seen = load32(own + STANDBY)
    came = is_needed(own)
    if came == 0:
        wait(own + STANDBY, seen, timeout)
        came = is_needed(own)
    fetch_add32(own + STANDBY + 4, -1)
    restore_thread(thread)
    return to_int(came)
