"""The step on parameters that exist once: each member updates a slice, from the gradients of all.

    member 0                                         member 1
    TABLE: where its gradients lie;  ARRIVED = 1     TABLE;  ARRIVED = 1
    both are here and mean the same step: STEP = 1 while slice 0 (slice 1) is written
    per tile: the sum of all members' gradients, in their order, into the first cache; parameter and state from it
    (the last of two or more gradients is added while parameter and state are computed, in the same pass)
    STEP = 2                                         STEP = 2
    both are done: forward may read the parameters, backward may write gradients

A gradient is read where backward has left it, if that is in the segment; smaller ones are copied to the member's own buffer.
With clipping there is one more meeting between the two: NORMED says that a member's part of the norm is there.

A member's desk, in its arena; only this member writes it:
  +0 ARRIVED   +64 NORMED   +128 STEP      counters of steps; STEP is 2k before step k, odd while it writes, 2k + 2 after it
  +192 PRINT   fingerprint of the step     +200 PAIR   its part of the squared norm, two elements
  +256 TABLE   per parameter: offset of the gradient in the segment, 0: it has none

`q` is the private block of this process; `g` that of the group, whose words say who sleeps (rounds.py).

Note [Shared step]
~~~~~~~~~~~~~~~~~~
Assumes    all members run the same steps in the same order; between two steps a member reads parameters, and writes its own
           gradients only.
S1 (whole) ARRIVED is stored after table and gradients; who has seen it of all members reads them as they were written.
S2 (apart) member k writes slice k of parameters and state only, and only between the first meeting and its STEP = 2k + 2.
S3 (kept)  tables, gradients, prints and pairs are written again only when all STEP words have reached 2k + 2: nobody reads them.
S4 (same)  all compare all prints with member 0's before anything is written; where one differs all end the step with that
           verdict, parameters untouched, and the next one can begin.
S5 (torn)  a member that died with STEP < 2k + 2, while another has STEP > 2k, has left its slice as it was, or half-written.
S6 (awake) as Note [Rounds] C6: who wants to sleep counts itself, then looks; who stores looks for sleepers afterwards.
The slices are whole cache lines.  Sums are taken in the order of the members, so all runs give the same bits.
"""

from nbgrad.collectives.rounds import (
    ADDING,
    COMBINING,
    COMPLETE,
    DIFFERENT,
    ME,
    MEET,
    MEMBERS,
    RUNNING,
    TILE,
    sched_yield,
    wake_sleepers,
)
from nbgrad.jit import fastcall, kernel
from nbgrad.jit.fastcall import from_int, restore_thread, save_thread, to_int
from nbgrad.jit.primitive import call_address_8, copy_bytes, peek, peek32, poke, poke32
from nbgrad.shm.atomics import fetch_add32, load, load32, pause, store
from nbgrad.shm.futex import wait
from nbgrad.shm.waiting import PAUSES, SPIN_NS, YIELDS
from nbgrad.shm.wire import n_elements

# words of a desk
ARRIVED, NORMED, STEP, PRINT, PAIR, TABLE = 0, 64, 128, 192, 200, 256

# words of the private block
(GROUP, SEGMENT, SEGMENT_END, STAGING, N_PARAMS, ITEM, DTYPE, NDARRAY, NONE, FLAT, STATE1, STATE2, N_STATES, FIRST, LAST,
 SCRATCH, ADD, UPDATE, CLIPS, CLIP, SQUARES, MULTIPLY, NUMBERS, NUMBER, STAGE, VERDICT, OTHER, N_UPDATED,
 BYTES, PAIR_UPDATE, UNIT) = range(0, 31 * 8, 8)  # fmt: skip
DESKS, SOURCES, ROWS = 256, 512, 768
# a parameter's row: its first element, how many, the address of its numbers, how many members had a gradient
ROW, SIZE, CONSTANTS, FOUND = 32, 8, 16, 24

ARRIVING, NORMING, WRITING, FINISHING = range(4)  # values of STAGE
PAIRS = 4  # elements of the clipping's numbers before the pairs


@fastcall
def publish(block, args, n_args):
    """publish(gradients) -> -1, or the number of the first that has no form which can be read: not plain, or another size.

    `gradients`: a list with an ndarray or None per parameter, that the caller keeps until the step is over.
    """
    q = peek(block)
    items, me = peek(peek(args) + 24), peek(peek(q + GROUP) + ME)
    table, item = peek(q + DESKS + 8 * me) + TABLE, peek(q + ITEM)
    for k in range(peek(q + N_PARAMS)):
        a, row = peek(items + 8 * k), q + ROWS + ROW * k
        offset = 0
        if a != peek(q + NONE):
            if peek(a + 8) != peek(q + NDARRAY) or peek(a + 56) != peek(q + DTYPE):
                return to_int(k)
            if peek32(a + 64) & 1 == 0 or n_elements(peek32(a + 24), peek(a + 32)) != peek(
                row + SIZE
            ):
                return to_int(k)
            data, n_bytes = peek(a + 16), peek(row + SIZE) * item
            if data < peek(q + SEGMENT) or data + n_bytes > peek(q + SEGMENT_END):
                place = peek(q + STAGING) + peek(row) * item
                copy_bytes(place, data, n_bytes)
                data = place
            offset = data - peek(q + SEGMENT)
        poke(table + 8 * k, offset)
    return to_int(-1)


@kernel("nn")
def arrive(q, fingerprint):
    """This member's gradients of the next step are there."""
    desk = peek(q + DESKS + 8 * peek(peek(q + GROUP) + ME))
    poke(desk + PRINT, fingerprint)
    poke(q + STAGE, ARRIVING)
    poke(q + VERDICT, COMPLETE)
    # Pairs with `lowest`: Note [Shared step] S1.
    store(desk + ARRIVED, peek(q + NUMBER) + 1)
    wake_sleepers(peek(q + GROUP))


@kernel("nn=n")
def lowest(q, word):
    """The smallest of all members' counters."""
    found = load(peek(q + DESKS) + word)
    for p in range(1, peek(peek(q + GROUP) + MEMBERS)):
        # Pairs with the stores in `arrive` and `advance`: Note [Shared step] S1 and S3.
        found = min(found, load(peek(q + DESKS + 8 * p) + word))
    return found


@kernel("n=n")
def odd_one(q):
    """The first member whose fingerprint differs from member 0's, or -1."""
    for p in range(1, peek(peek(q + GROUP) + MEMBERS)):
        if peek(peek(q + DESKS + 8 * p) + PRINT) != peek(peek(q + DESKS) + PRINT):
            return p
    return -1


@kernel("nn=n")
def gather(q, k):
    """Addresses of the gradients of parameter `k`, of those members that have one; how many."""
    n = 0
    for p in range(peek(peek(q + GROUP) + MEMBERS)):
        offset = peek(peek(q + DESKS + 8 * p) + TABLE + 8 * k)
        if offset != 0:
            poke(q + SOURCES + 8 * n, peek(q + SEGMENT) + offset)
            n += 1
    return n


@kernel("nnnn=n")
def sum_up(q, n, inner, count):
    """Address of the sum of a tile: of the gradient itself where only one member has one."""
    first, scratch, add = peek(q + SOURCES) + inner, peek(q + SCRATCH), peek(q + ADD)
    if n == 1:
        return first
    call_address_8(add, scratch, first, peek(q + SOURCES + 8) + inner, count, COMBINING, 0, 0, 0)
    for p in range(2, n):
        other = peek(q + SOURCES + 8 * p) + inner
        call_address_8(add, scratch, scratch, other, count, ADDING, 0, 0, 0)
    return scratch


@kernel("nnnnn")
def update(q, at, count, sums, constants):
    """Parameter and state of a tile."""
    item, function, n_states = peek(q + ITEM), peek(q + UPDATE), peek(q + N_STATES)
    p = peek(q + FLAT) + at * item
    first, second = peek(q + STATE1) + at * item, peek(q + STATE2) + at * item
    if n_states == 0:
        call_address_8(function, p, sums, constants, count, 0, 0, 0, 0)
    elif n_states == 1:
        call_address_8(function, p, sums, first, constants, count, 0, 0, 0)
    else:
        call_address_8(function, p, sums, first, second, constants, count, 0, 0)


@kernel("nnnnnn=n")
def update_pairs(q, n, at, end, origin, constants):
    """Parameter and state of whole lines, with the last gradient added on the way; where the rest begins."""
    item, function, unit = peek(q + ITEM), peek(q + PAIR_UPDATE), peek(q + UNIT)
    limit = end - at if n == 2 else TILE // item
    while True:
        count = min(limit, end - at) // unit * unit
        if count == 0:
            return at
        inner, place = (at - origin) * item, at * item
        first, last = sum_up(q, n - 1, inner, count), peek(q + SOURCES + 8 * (n - 1)) + inner
        p, state1, state2 = (
            peek(q + FLAT) + place,
            peek(q + STATE1) + place,
            peek(q + STATE2) + place,
        )
        if peek(q + N_STATES) == 0:
            call_address_8(function, p, first, last, constants, count, 0, 0, 0)
        elif peek(q + N_STATES) == 1:
            call_address_8(function, p, first, last, state1, constants, count, 0, 0)
        else:
            call_address_8(function, p, first, last, state1, state2, constants, count, 0)
        at += count


@kernel("nn")
def sweep(q, writes):
    """Go once over this member's slice: update it, or add up the squares of the sums."""
    item, clips = peek(q + ITEM), peek(q + CLIPS)
    limit, moved = TILE // item, 0
    if writes != 0:
        poke(q + N_UPDATED, 0)
    for k in range(peek(q + N_PARAMS)):
        row = q + ROWS + ROW * k
        origin = peek(row)
        at, end = max(origin, peek(q + FIRST)), min(origin + peek(row + SIZE), peek(q + LAST))
        n = gather(q, k)
        if writes != 0:
            poke(row + FOUND, n)
            poke(q + N_UPDATED, peek(q + N_UPDATED) + (1 if n > 0 else 0))
        if n == 0:
            continue
        if at < end:
            moved += (end - at) * item * (n + (2 + 2 * peek(q + N_STATES) if writes != 0 else 0))
        if at < end and n > 1 and writes != 0 and clips == 0 and peek(q + PAIR_UPDATE) != 0:
            at = update_pairs(q, n, at, end, origin, peek(row + CONSTANTS))
        while at < end:
            count = min(limit, end - at)
            sums = sum_up(q, n, (at - origin) * item, count)
            if writes == 0:
                call_address_8(
                    peek(q + SQUARES), sums, peek(q + NUMBERS) + PAIRS * item, count, 0, 0, 0, 0, 0
                )
            else:
                if clips != 0:
                    scratch = peek(q + SCRATCH)
                    call_address_8(
                        peek(q + MULTIPLY), scratch, sums, peek(q + NUMBERS), count, 0, 0, 0, 0
                    )
                    sums = scratch
                update(q, at, count, sums, peek(row + CONSTANTS))
            at += count
    poke(q + BYTES, peek(q + BYTES) + moved)


@kernel("n")
def show_norm(q):
    """This member's part of the norm."""
    item, numbers = peek(q + ITEM), peek(q + NUMBERS)
    desk = peek(q + DESKS + 8 * peek(peek(q + GROUP) + ME))
    for k in range(2 * item // 4):
        poke32(numbers + PAIRS * item + 4 * k, 0)  # 0.0 in both dtypes
    sweep(q, 0)
    copy_bytes(desk + PAIR, numbers + PAIRS * item, 2 * item)
    # Pairs with `lowest`: Note [Shared step] S1.
    store(desk + NORMED, peek(q + NUMBER) + 1)


@kernel("n")
def take_norm(q):
    """All members' parts, in their order: the factor of the clipping."""
    item, numbers = peek(q + ITEM), peek(q + NUMBERS)
    members = peek(peek(q + GROUP) + MEMBERS)
    for p in range(members):
        pair = numbers + (PAIRS + 2 * p) * item
        copy_bytes(pair, peek(q + DESKS + 8 * p) + PAIR, 2 * item)
    call_address_8(peek(q + CLIP), numbers, PAIRS + 2 * members, members, 0, 0, 0, 0, 0)


@kernel("n=n")
def advance(q):
    """Go on with the step as far as the others allow: COMPLETE, DIFFERENT (OTHER tells who) or RUNNING."""
    number, g = peek(q + NUMBER), peek(q + GROUP)
    desk = peek(q + DESKS + 8 * peek(g + ME))
    if peek(q + STAGE) == ARRIVING:
        if lowest(q, ARRIVED) <= number:
            return RUNNING
        other = odd_one(q)
        if other >= 0:
            poke(q + OTHER, other)
            poke(q + VERDICT, DIFFERENT)
            poke(q + STAGE, FINISHING)
            # Pairs with `lowest`: Note [Shared step] S4.
            store(desk + STEP, 2 * number + 2)
            wake_sleepers(g)
        elif peek(q + CLIPS) != 0:
            show_norm(q)
            wake_sleepers(g)
            poke(q + STAGE, NORMING)
        else:
            poke(q + STAGE, WRITING)
    if peek(q + STAGE) == NORMING:
        if lowest(q, NORMED) <= number:
            return RUNNING
        take_norm(q)
        poke(q + STAGE, WRITING)
    if peek(q + STAGE) == WRITING:
        store(desk + STEP, 2 * number + 1)
        sweep(q, 1)
        # Pairs with `lowest`: Note [Shared step] S2 and S3.
        store(desk + STEP, 2 * number + 2)
        poke(q + STAGE, FINISHING)
        wake_sleepers(g)
    if lowest(q, STEP) < 2 * number + 2:
        return RUNNING
    return peek(q + VERDICT)


@kernel("nnnn=n")
def run(q, pauses, yields, patience_ns):
    """Go on until the step is over, at most a slice."""
    for _ in range(pauses):
        result = advance(q)
        if result != RUNNING:
            return result
        pause()
    for _ in range(yields):
        sched_yield()
        result = advance(q)
        if result != RUNNING:
            return result
    meet = peek(peek(q + GROUP) + MEET)
    fetch_add32(meet + 4, 1)
    seen = load32(meet)
    # Pairs with `wake_sleepers`: Note [Shared step] S6.
    result = advance(q)
    if result == RUNNING:
        wait(meet, seen, patience_ns)
    fetch_add32(meet + 4, -1)
    return advance(q) if result == RUNNING else result


@fastcall
def go(block, args, n_args):
    """go(patience_ns) -> COMPLETE, DIFFERENT or RUNNING.  Block: the private block."""
    q = peek(block)
    patience = from_int(peek(args))
    thread = save_thread()
    spins = patience <= SPIN_NS
    result = run(q, PAUSES if spins else 1, YIELDS if spins else 0, patience)
    restore_thread(thread)
    return to_int(result)
