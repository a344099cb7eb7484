"""Buckets: sums that members begin when they are ready, one bucket of a fixed buffer after the other, without waiting.

    member 0                                    member 1
    fills bucket 0;  FILLED = 1                 computes
    fills bucket 1;  FILLED = 2                 fills bucket 0;  FILLED = 1
    computes                                    both have bucket 0: sums its slice of it;  REDUCED = 1
    sums its slice of bucket 0;  REDUCED = 1    ...

Every member has one buffer of the same layout in the segment, and one result is there for all; where they lie is agreed
once.  After that a step moves nothing but gradients, and each byte of them once.

Note [Buckets]
~~~~~~~~~~~~~~
Assumes    all members start the buckets of a step in the same order; a member writes its buffer only between the end of a step
           and its `start` of the bucket, and reads the result only between the end of a step and its first `start` after it.
K1 (whole) FILLED counts buckets started, in order, and is stored after the bucket is written; who has seen FILLED > b of all
           members reads bucket b of each as it was written.
K2 (apart) member k writes slice k of the result only, and stores REDUCED after it.
K3 (done)  a step is over for a member when REDUCED of all has reached its last bucket: then nobody reads the buffers and the
           result is whole.
K4 (kept)  bucket b of the next step is summed only when all have started it, so all have stopped reading the last result.
Sums are taken in the order of the members.
"""

from nbgrad.collectives.rounds import (
    COMPLETE,
    FILLED,
    ME,
    MEET,
    MEMBERS,
    OWN,
    REDUCED,
    RUNNING,
    SLICE_UNIT,
    SLOT,
    TILE,
    sched_yield,
    sum_tile,
    wake_sleepers,
)
from nbgrad.jit import fastcall, kernel
from nbgrad.jit.fastcall import from_int, restore_thread, save_thread, to_int
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import fetch_add32, load, load32, pause, store
from nbgrad.shm.futex import wait
from nbgrad.shm.waiting import PAUSES, SPIN_NS, YIELDS

# words of a plan's own block
GROUP, RESULT, N_BUCKETS, NEXT, TARGET, STARTS = range(
    0, 48, 8
)  # STARTS: bytes, one more than there are buckets


@kernel("nn=n")
def least(g, word):
    """The smallest of all members' counters."""
    found = load(peek(g + SLOT) + word)
    for p in range(1, peek(g + MEMBERS)):
        # Pairs with the stores in `start` and `progress`: Note [Buckets] K1 and K3.
        found = min(found, load(peek(g + SLOT + 8 * p) + word))
    return found


@kernel("n")
def start(q):
    """One more bucket of this member is written."""
    g = peek(q + GROUP)
    place = peek(g + OWN) + FILLED
    # Pairs with `least`: Note [Buckets] K1.
    store(place, peek(place) + 1)
    wake_sleepers(g)


@kernel("n")
def progress(q):
    """Sum this member's slice of every bucket that all members have started."""
    g = peek(q + GROUP)
    members, me, n = peek(g + MEMBERS), peek(g + ME), peek(q + N_BUCKETS)
    filled = least(g, FILLED)
    while peek(q + NEXT) < filled:
        place = q + STARTS + 8 * (peek(q + NEXT) % n)
        first, last = peek(place), peek(place + 8)
        units = (last - first + SLICE_UNIT - 1) // SLICE_UNIT
        share = (units + members - 1) // members * SLICE_UNIT
        at, end = min(first + me * share, last), min(first + (me + 1) * share, last)
        while at < end:
            tile = min(TILE, end - at)
            sum_tile(g, peek(q + RESULT) + at, at, tile)
            at += tile
        poke(q + NEXT, peek(q + NEXT) + 1)
        # Pairs with `least`: Note [Buckets] K2.
        store(peek(g + OWN) + REDUCED, peek(q + NEXT))
        wake_sleepers(g)


@kernel("n=n")
def is_over(q):
    """Sum what can be summed; 1 if all members have done so up to TARGET."""
    progress(q)
    return 1 if least(peek(q + GROUP), REDUCED) >= peek(q + TARGET) else 0


@kernel("nnnn=n")
def finish(q, pauses, yields, patience_ns):
    """Wait until the step is over, at most a slice: COMPLETE or RUNNING."""
    for _ in range(pauses):
        if is_over(q) != 0:
            return COMPLETE
        pause()
    for _ in range(yields):
        sched_yield()
        if is_over(q) != 0:
            return COMPLETE
    meet = peek(peek(q + GROUP) + MEET)
    fetch_add32(meet + 4, 1)
    seen = load32(meet)
    # Pairs with `wake_sleepers`: Note [Rounds] C6.
    if is_over(q) == 0:
        wait(meet, seen, patience_ns)
    fetch_add32(meet + 4, -1)
    return COMPLETE if is_over(q) != 0 else RUNNING


@fastcall
def go(block, args, n_args):
    """go(patience_ns) -> COMPLETE or RUNNING; 0: only what can be done without waiting.  Block: the plan's block."""
    q = peek(block)
    patience = from_int(peek(args))
    thread = save_thread()
    if patience == 0:
        result = COMPLETE if is_over(q) != 0 else RUNNING
    else:
        spins = patience <= SPIN_NS
        result = finish(q, PAUSES if spins else 1, YIELDS if spins else 0, patience)
    restore_thread(thread)
    return to_int(result)
