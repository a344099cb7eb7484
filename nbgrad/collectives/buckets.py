"""Buckets: sums that members begin when they are ready, one bucket of a fixed buffer after the other, without waiting.

    member 0                                    member 1
    fills bucket 0;  FILLED = 1                 computes
    fills bucket 1;  FILLED = 2                 fills bucket 0;  FILLED = 1
    computes                                    both have bucket 0: sums its slice of it;  REDUCED = 1
    sums its slice of bucket 0;  REDUCED = 1    ...

A bucket has one or more pieces.  A member's piece of a step lies wherever it was made in the segment, and its table says
where; what was made elsewhere is copied into the member's own buffer, of the same layout as the one result that is there for
all.  Where tables and result lie is agreed once.  After that a step moves nothing but gradients, and each byte of them once.

A member's table, in its arena; only this member writes it: per piece an offset in the segment, 0: it has none.

Note [Buckets]
~~~~~~~~~~~~~~
Assumes    all members start the buckets of a step in the same order; a member writes its table and its pieces only between the
           end of a step and its `start` of the bucket, and reads the result only between the end of a step and its first `start`
           after it.
K1 (whole) FILLED counts buckets started, in order, and is stored after table and pieces; who has seen FILLED > b of all
           members reads bucket b of each as it was written.
K2 (apart) member k writes slice k of the result only, and stores REDUCED after it.
K3 (done)  a step is over for a member when REDUCED of all has reached its last bucket: then nobody reads the buffers and the
           result is whole.
K4 (kept)  bucket b of the next step is summed only when all have started it, so all have stopped reading the last result.
A sum is over those members that have the piece, in their order; an average is over all.  Where none has it the result stays.
"""

from nbgrad.collectives.rounds import (
    COMPLETE,
    FILLED,
    ITEM,
    ME,
    MEET,
    MEMBERS,
    N_TABLE,
    OWN,
    REDUCED,
    RUNNING,
    SEGMENT,
    SLICE_UNIT,
    SLOT,
    SOURCES,
    TILE,
    add_sources,
    sched_yield,
    wake_sleepers,
)
from nbgrad.jit import fastcall, kernel
from nbgrad.jit.fastcall import from_int, restore_thread, save_thread, to_int
from nbgrad.jit.primitive import call_address_8, copy_bytes, peek, peek32, poke
from nbgrad.shm.atomics import fetch_add32, load, load32, pause, store
from nbgrad.shm.futex import wait
from nbgrad.shm.waiting import PAUSES, SPIN_NS, YIELDS
from nbgrad.shm.wire import n_elements

# words of a plan's own block; TABLES: the address of each member's table
# PAIR: the function of two sources in whole lines, COUNT: its constant, or 0, UNIT: bytes that it takes
(GROUP, RESULT, N_BUCKETS, NEXT, TARGET, BUFFER, SEGMENT_END, DTYPE, NDARRAY, PIECES, PAIR, COUNT,
 UNIT) = range(0, 13 * 8, 8)  # fmt: skip
TABLES = 128
BUCKETS = TABLES + 8 * N_TABLE
# a bucket's row, one more than there are: its first byte, and its first piece
BUCKET, FIRST_PIECE = 16, 8
# a piece's row, at the address PIECES, in the order in which they lie: its number, its first byte, how many
PIECE, START, N_BYTES = 24, 8, 16


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


@kernel("nnn=n")
def gather(q, number, start):
    """Let SOURCES be the data of a piece, of those members that have it, less the place where it starts; how many."""
    g, n = peek(q + GROUP), 0
    for p in range(peek(g + MEMBERS)):
        offset = peek(peek(q + TABLES + 8 * p) + 8 * number)
        if offset != 0:
            poke(g + SOURCES + 8 * n, peek(g + SEGMENT) + offset - start)
            n += 1
    return n


@kernel("nnn=n")
def sum_pair(q, at, n_bytes):
    """Sum whole lines of two sources; how many bytes."""
    g = peek(q + GROUP)
    result, a, b = peek(q + RESULT) + at, peek(g + SOURCES) + at, peek(g + SOURCES + 8) + at
    count, n = peek(q + COUNT), n_bytes // peek(g + ITEM)
    if count == 0:
        call_address_8(peek(q + PAIR), result, a, b, n, 0, 0, 0, 0)
    else:
        call_address_8(peek(q + PAIR), result, a, b, count, n, 0, 0, 0)
    return n_bytes


@kernel("nnnn")
def sum_range(q, piece, first, last):
    """Sum as much of one piece (the address of its row) as lies in a range of bytes."""
    start = peek(piece + START)
    at, end = max(first, start), min(last, start + peek(piece + N_BYTES))
    if at < end:
        g = peek(q + GROUP)
        n = gather(q, peek(piece), start)
        if n == 2 and peek(q + PAIR) != 0:
            at += sum_pair(q, at, (end - at) // peek(q + UNIT) * peek(q + UNIT))
        while n > 0 and at < end:
            tile = min(TILE, end - at)
            add_sources(g, n, peek(q + RESULT) + at, at, tile)
            at += tile


@kernel("n")
def progress(q):
    """Sum this member's slice of every bucket that all members have started."""
    g = peek(q + GROUP)
    members, me, n = peek(g + MEMBERS), peek(g + ME), peek(q + N_BUCKETS)
    filled = least(g, FILLED)
    while peek(q + NEXT) < filled:
        row = q + BUCKETS + BUCKET * (peek(q + NEXT) % n)
        first, last = peek(row), peek(row + BUCKET)
        units = (last - first + SLICE_UNIT - 1) // SLICE_UNIT
        share = (units + members - 1) // members * SLICE_UNIT
        at, end = min(first + me * share, last), min(first + (me + 1) * share, last)
        for k in range(peek(row + FIRST_PIECE), peek(row + BUCKET + FIRST_PIECE)):
            sum_range(q, peek(q + PIECES) + PIECE * k, at, end)
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
def give(block, args, n_args):
    """give(k, array) -> 1, or 0: it is no plain array of the piece's size.  Block: the plan's block.

    `k` is a place in the order in which pieces lie; the caller keeps `array` until the step is over.
    """
    q = peek(block)
    piece, a = peek(q + PIECES) + PIECE * from_int(peek(args)), peek(args + 8)
    if peek(a + 8) != peek(q + NDARRAY) or peek(a + 56) != peek(q + DTYPE):
        return to_int(0)
    g, n_bytes = peek(q + GROUP), peek(piece + N_BYTES)
    if (
        peek32(a + 64) & 1 == 0
        or n_elements(peek32(a + 24), peek(a + 32)) * peek(g + ITEM) != n_bytes
    ):
        return to_int(0)
    data = peek(a + 16)
    if data < peek(g + SEGMENT) or data + n_bytes > peek(q + SEGMENT_END):
        place = peek(q + BUFFER) + peek(piece + START)
        copy_bytes(place, data, n_bytes)
        data = place
    poke(peek(q + TABLES + 8 * peek(g + ME)) + 8 * peek(piece), data - peek(g + SEGMENT))
    return to_int(1)


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
