"""Rounds: how the members of a process group meet in shared memory, and look at what each of them shows.

    member 0                                     member 1
    copy its data into its box                   copy its data into its box
    ROUND = s, in its slot     ─── all see ───   ROUND = s, in its slot
    result = box 0 + box 1                       result = box 0 + box 1       each into its own memory

A small operation is one round.  A larger one goes round by round, a piece of a box at a time; or, if everybody's arrays lie
in the group's segment, in one round over the arrays themselves, each member taking a slice of the work, and a second
round that says that all are done.

A member's slot, in its worker's part of the segment; only this member writes it:
  +0, +512   the lines of even and of odd rounds: ROUND, WHAT, HASH, DATA, SHARED; +64 small data; +384 the shape, for messages
  +1024      TABLE: where each piece lies that is offered to one member
  +1280      STATUS: 0, or why this member takes no part any more
  +1344 FILLED, +1408 REDUCED     counters of a plan (buckets.py)
  +2048      a line per other member (letters.py)

`g` is the group's private block in this process: constants, the operation under way, and tables with a word per member.

Note [Rounds]
~~~~~~~~~~~~~
Assumes     one operation of a group at a time in a process (IN_USE); all members take part in each operation in the same order.
C1 (whole)  a member stores ROUND = s after its record and its data; who has seen it reads both as they were written.
C2 (kept)   a member writes the line and the box of round s + 2 after it has seen all ROUND words of s + 1, and each of these
            was stored when its member had read all that was shown in s.  So two lines and two halves of a box suffice.
C3 (same)   all members wait for all records and compare them with member 0's before data moves.  Where one differs, the
            operation ends in this round on all members, with the same verdict; the next one starts in the next round.
C4 (apart)  in a direct round member k reads and writes slice k of every buffer, and nobody else does before the next round.
C5 (death)  each word has one writer: a killed member leaves the others in a round that poison words end.
C6 (awake)  who wants to sleep counts itself at its MEET word, reads MEET, then looks at all ROUND words; who arrives stores
            ROUND, then looks for sleepers.  All are sequentially consistent, so one of the two sees the other.
Sums are taken in the order of the members, element by element, so they are the same bits on all members, in every run.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import call_address_8, copy_bytes, external, peek, poke
from nbgrad.shm.atomics import fence, fetch_add32, load, load32, pause, store
from nbgrad.shm.futex import ALL as ALL_SLEEPERS
from nbgrad.shm.futex import wait, wake

# words of a slot
LINE_BYTES = 512
ROUND, SHOWN, HASH, DATA, KEPT = range(0, 40, 8)
INLINE, INLINE_BYTES = 64, 320
SHAPE, MAX_ND = 384, 16
TABLE, STATUS, FILLED, REDUCED = 1024, 1280, 1344, 1408
ND_SHIFT, PHASE_SHIFT = (
    40,
    48,
)  # SHOWN: WHAT, and above it how many dims are in SHAPE, and the phase

# words of the private block
(SEGMENT, OWN, MEMBERS, ME, MEET, BOX, BOX_BYTES, SCRATCH, SEQ, IN_USE, STAGE, PHASE, WHAT, ND, SHOWS, PIECES, PIECE,
 STRIDE, START, MOVE, ROOT, ITEM, COMBINE, FINISH, OFFER, SHARED, TRAILS, OTHER, KEEPER,
 STREAM) = range(0, 30 * 8, 8)  # fmt: skip
N_TABLE = 32
(DIMS, SLOT, MEETS, IN, IN_BYTES, OUT, OUT_BYTES, OFFERS, SOURCES) = (
    256 + 8 * N_TABLE * k for k in range(9)
)
BLOCK_BYTES = SOURCES + 8 * N_TABLE

IDLE, TO_SHOW, WAITING = range(3)  # values of STAGE
OFFERING, CHUNKS, TRAILING = range(3)  # values of PHASE
NOTHING, REDUCE, ONE, ALL, FUSED, SLICE = range(6)  # values of MOVE
RUNNING, COMPLETE, DIFFERENT, NO_ROOM = range(4)  # what `advance` returns
COMBINING, ADDING = range(2)  # out = a + b, and out = out + b
DIRECT_BYTES = (
    1 << 16
)  # operations from here on begin with the question whether arrays can be read in place
TILE = 8192  # bytes that are summed before the next ones: they stay in the first cache
SLICE_UNIT = 64
STREAM_UNIT = 64  # elements, and bytes, that streamed stores need whole

sched_yield = external("sched_yield", 0)


@kernel("nnn=n")
def clamp(n_bytes, start, most):
    """How much of `n_bytes` lies in the range of `most` bytes from `start`."""
    rest = n_bytes - start
    if rest < 0:
        return 0
    return rest if rest < most else most


@kernel("n=n")
def fill_box(g):
    """Copy this round's part of the data where others see it; the address."""
    seq, stride, start, pieces = peek(g + SEQ), peek(g + STRIDE), peek(g + START), peek(g + PIECES)
    box = peek(g + OWN) + (seq & 1) * LINE_BYTES + INLINE
    if pieces * stride > INLINE_BYTES:
        box = peek(g + BOX) + (seq & 1) * peek(g + BOX_BYTES)
    for p in range(pieces):
        n_bytes = clamp(peek(g + IN_BYTES + 8 * p), start, stride)
        copy_bytes(box + p * stride, peek(g + IN + 8 * p) + start, n_bytes)
    return box


@kernel("n")
def show(g):
    """Arrive in the round: write the record, publish it, wake those who sleep."""
    seq, own = peek(g + SEQ), peek(g + OWN)
    line = own + (seq & 1) * LINE_BYTES
    mixed = peek(g + ND)
    for k in range(peek(g + ND)):
        dim = peek(g + DIMS + 8 * k)
        poke(line + SHAPE + 8 * k, dim)
        mixed = (mixed * 1000003) ^ dim
    data = 0
    if peek(g + PHASE) == OFFERING:
        data = peek(g + OFFER)
        if data > 0 and peek(g + PIECES) > 1:
            for p in range(peek(g + PIECES)):
                poke(own + TABLE + 8 * p, peek(g + OFFERS + 8 * p))
    elif peek(g + PHASE) == CHUNKS and peek(g + SHOWS) != 0:
        data = fill_box(g) - peek(g + SEGMENT)
    poke(line + SHOWN, peek(g + WHAT) | peek(g + ND) << ND_SHIFT | peek(g + PHASE) << PHASE_SHIFT)
    poke(line + HASH, mixed)
    poke(line + DATA, data)
    poke(line + KEPT, peek(g + SHARED))
    # Pairs with the load in `all_here`: Note [Rounds] C1, and with `sleep`: C6.
    store(line + ROUND, seq)
    wake_sleepers(g)


@kernel("n")
def wake_sleepers(g):
    """Something that the others wait for has just been stored: wake those who sleep."""
    me = peek(g + ME)
    for p in range(peek(g + MEMBERS)):
        meet = peek(g + MEETS + 8 * p)
        # Pairs with `sleep`: Note [Rounds] C6.
        if p != me and load32(meet + 4) > 0:
            fetch_add32(meet, 1)
            wake(meet, ALL_SLEEPERS)


@kernel("n")
def rouse(g):
    """Wake the other members that sleep: something has changed that is no arrival."""
    me = peek(g + ME)
    for p in range(peek(g + MEMBERS)):
        meet = peek(g + MEETS + 8 * p)
        if p != me:
            fetch_add32(meet, 1)
            wake(meet, ALL_SLEEPERS)


@kernel("n=n")
def all_here(g):
    """1 if every member has arrived in this round."""
    seq = peek(g + SEQ)
    line = (seq & 1) * LINE_BYTES
    for p in range(peek(g + MEMBERS)):
        # Pairs with the store in `show`: Note [Rounds] C1.
        if load(peek(g + SLOT + 8 * p) + line + ROUND) != seq:
            return 0
    return 1


@kernel("nn=n")
def sleep(g, patience_ns):
    """Sleep until somebody arrives, or `patience_ns`; 1 if all are here."""
    meet = peek(g + MEET)
    fetch_add32(meet + 4, 1)
    seen = load32(meet)
    # Pairs with `show`: Note [Rounds] C6.
    if all_here(g) == 0:
        wait(meet, seen, patience_ns)
    fetch_add32(meet + 4, -1)
    return all_here(g)


@kernel("nnnn=n")
def wait_all(g, pauses, yields, patience_ns):
    """Wait until all are here: spin, then yield, then sleep once; 1 they are, 0 the slice is over."""
    for _ in range(pauses):
        if all_here(g) != 0:
            return 1
        pause()
    for _ in range(yields):
        sched_yield()
        if all_here(g) != 0:
            return 1
    return 0 if patience_ns == 0 else sleep(g, patience_ns)


@kernel("n=n")
def odd_one(g):
    """The first member whose record differs from member 0's, or -1.  Note [Rounds] C3."""
    line = (peek(g + SEQ) & 1) * LINE_BYTES
    first = peek(g + SLOT) + line
    what, mixed = peek(first + SHOWN), peek(first + HASH)
    for p in range(1, peek(g + MEMBERS)):
        other = peek(g + SLOT + 8 * p) + line
        if peek(other + SHOWN) != what or peek(other + HASH) != mixed:
            return p
    return -1


@kernel("n=n")
def all_offer(g):
    """1 if what all members show lies in the segment, so that this round can read it in place."""
    line = (peek(g + SEQ) & 1) * LINE_BYTES
    for p in range(peek(g + MEMBERS)):
        if peek(peek(g + SLOT + 8 * p) + line + DATA) == 0:
            return 0
    return 1


@kernel("nnn=n")
def source(g, p, direct):
    """Address of what member `p` shows to this one."""
    slot = peek(g + SLOT + 8 * p)
    segment, me = peek(g + SEGMENT), peek(g + ME)
    data = segment + peek(slot + (peek(g + SEQ) & 1) * LINE_BYTES + DATA)
    if peek(g + PIECES) == 1:
        return data
    return segment + peek(slot + TABLE + 8 * me) if direct != 0 else data + me * peek(g + STRIDE)


@kernel("nn")
def move(g, direct):
    """Take what the members show in this round: all of it (`direct`), or the range that is in the boxes."""
    kind = peek(g + MOVE)
    start = peek(g + START)
    most = peek(g + PIECE) if direct != 0 else peek(g + STRIDE)
    if kind == ONE:
        n_bytes = clamp(peek(g + OUT_BYTES), start, most)
        copy_bytes(peek(g + OUT) + start, source(g, peek(g + ROOT), direct), n_bytes)
    elif kind == ALL:
        for p in range(peek(g + MEMBERS)):
            n_bytes = clamp(peek(g + OUT_BYTES + 8 * p), start, most)
            copy_bytes(peek(g + OUT + 8 * p) + start, source(g, p, direct), n_bytes)
    elif kind != NOTHING:
        reduce(g, kind, direct, start, clamp(peek(g + PIECE), start, most))


@kernel("nnnnn")
def reduce(g, kind, direct, start, n_bytes):
    """Sum a range: all of it into this member's memory, or this member's slice of it into memory that all share."""
    members, me = peek(g + MEMBERS), peek(g + ME)
    out = peek(g + OUT)
    if kind == SLICE:
        keeper = peek(g + SLOT + 8 * peek(g + KEEPER)) + (peek(g + SEQ) & 1) * LINE_BYTES
        out = peek(g + SEGMENT) + peek(keeper + KEPT)
    elif out == 0 and direct == 0:  # the sum is another member's
        return
    aside = 1 if kind == FUSED and direct != 0 else 0
    for p in range(members):
        address = source(g, p, direct)
        poke(g + SOURCES + 8 * p, address)
        if address == out + start:
            aside = 1
    first, last = 0, n_bytes
    if kind == SLICE or (kind == FUSED and direct != 0):
        # Note [Rounds] C4: whole cache lines, so that no two members write the same one
        units = (n_bytes + SLICE_UNIT - 1) // SLICE_UNIT
        share = (units + members - 1) // members * SLICE_UNIT
        first, last = min(me * share, n_bytes), min((me + 1) * share, n_bytes)
    if kind == SLICE and direct != 0 and aside == 0 and members > 1 and peek(g + STREAM) != 0:
        first = stream_slice(g, out + start, first, last)
    while first < last:
        tile = min(TILE, last - first)
        target = peek(g + SCRATCH) if aside != 0 else out + start + first
        sum_tile(g, target, first, tile)
        if aside != 0 and kind == FUSED and direct != 0:
            for p in range(members):
                if peek(g + ROOT) < 0 or peek(g + ROOT) == p:
                    copy_bytes(peek(g + SOURCES + 8 * p) + first, target, tile)
        elif aside != 0:
            copy_bytes(out + start + first, target, tile)
        first += tile


@kernel("nnnn=n")
def stream_slice(g, out, first, last):
    """Sum a slice past the caches, as far as whole units go; where the rest begins."""
    members, item = peek(g + MEMBERS), peek(g + ITEM)
    if (out + first) % STREAM_UNIT != 0:
        return first
    combine, scratch = peek(g + COMBINE), peek(g + SCRATCH)
    limit = last - first if members == 2 else TILE
    while first < last:
        count = min(limit, last - first) // item // STREAM_UNIT * STREAM_UNIT
        if count == 0:
            break
        sums = peek(g + SOURCES) + first
        for p in range(1, members - 1):
            other = peek(g + SOURCES + 8 * p) + first
            call_address_8(combine, scratch, sums, other, count, COMBINING, 0, 0, 0)
            sums = scratch
        other = peek(g + SOURCES + 8 * (members - 1)) + first
        call_address_8(peek(g + STREAM), out + first, sums, other, count, 0, 0, 0, 0)
        first += count * item
    # Streamed stores are ordered by nothing else.  Before the store in `show` that says this member is done: C1.
    fence()
    return first


@kernel("nnnn")
def sum_tile(g, target, at, n_bytes):
    """One tile, in the order of the members."""
    add_sources(g, peek(g + MEMBERS), target, at, n_bytes)


@kernel("nnnnn")
def add_sources(g, n, target, at, n_bytes):
    """One tile of the first `n` sources, in their order; an average is over all members."""
    count = n_bytes // peek(g + ITEM)
    combine, first = peek(g + COMBINE), peek(g + SOURCES) + at
    if n == 1:
        copy_bytes(target, first, n_bytes)
    else:
        second = peek(g + SOURCES + 8) + at
        call_address_8(combine, target, first, second, count, COMBINING, 0, 0, 0)
    for p in range(2, n):
        other = peek(g + SOURCES + 8 * p) + at
        call_address_8(combine, target, target, other, count, ADDING, 0, 0, 0)
    if peek(g + FINISH) != 0:
        call_address_8(peek(g + FINISH), target, count, peek(g + MEMBERS), 0, 0, 0, 0, 0)


@kernel("n=n")
def settle(g):
    """All are here and do the same: take what they show; what comes next."""
    phase, result = peek(g + PHASE), RUNNING
    if phase == OFFERING:
        keeper = peek(g + SLOT + 8 * peek(g + KEEPER)) + (peek(g + SEQ) & 1) * LINE_BYTES
        if peek(g + MOVE) == SLICE and peek(keeper + KEPT) == 0:
            result = NO_ROOM
        elif all_offer(g) != 0:
            move(g, 1)
            poke(g + PHASE, TRAILING)
        else:
            poke(g + PHASE, CHUNKS)
    elif phase == CHUNKS:
        move(g, 0)
        poke(g + START, peek(g + START) + peek(g + STRIDE))
        if peek(g + START) >= peek(g + PIECE):
            poke(g + PHASE, TRAILING)
            if peek(g + TRAILS) == 0:
                result = COMPLETE
    else:
        result = COMPLETE
    poke(g + SEQ, peek(g + SEQ) + 1)
    return result


@kernel("nnnn=n")
def advance(g, pauses, yields, patience_ns):
    """Go on with the operation; COMPLETE, DIFFERENT (OTHER tells who) and NO_ROOM end it, RUNNING says that a slice is over."""
    while True:
        if peek(g + STAGE) == TO_SHOW:
            show(g)
            poke(g + STAGE, WAITING)
        if wait_all(g, pauses, yields, patience_ns) == 0:
            return RUNNING
        other = odd_one(g)
        if other >= 0:
            poke(g + OTHER, other)
            poke(g + SEQ, peek(g + SEQ) + 1)
            poke(g + STAGE, IDLE)
            return DIFFERENT
        result = settle(g)
        poke(g + STAGE, TO_SHOW if result == RUNNING else IDLE)
        if result != RUNNING:
            return result
