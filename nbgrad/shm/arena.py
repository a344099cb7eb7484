"""Arena: the blocks of one worker in shared memory, for arrays that travel without a copy.

Only the owner allocates; anybody who held a block last gives it back to the owner's return list.

    +0    return list: offset of the first returned block, or 0                  anyone pushes by CAS, the owner takes all
    +64   bump offset   +72 committed bytes   +80 arena bytes                    the owner
    +128  free list per size class                                               the owner
    blocks: a header of 64 bytes, then the payload, 64-byte aligned
      +0 next block in a list   +8 size class   +16 holders   +32 offset in its arena   +40 pinned
Each process maps the segment at another address, so all that is stored are offsets from the arena's start.

Note [Holders]
~~~~~~~~~~~~~~
`holders` counts the storage itself and its snapshots: messages under way and arrays in other workers, never views.
One word holds the count (bits 0-31), the block's generation, which is new with each `allocate` (bits 32-61), and WRITING
(bit 62): the owner of the storage writes into it now.
Assumes  a holder that hands the block on adds a holder BEFORE the message is published (! else the last one may free it).
V1 (value)       a writer gets WRITING only by a CAS from exactly 1, so no snapshot exists; a snapshot is added only by a
                 CAS from a value without WRITING (! checking first and writing then lets both happen).
V2 (no waiting)  `begin_write` fails at once where there are other holders: the writer moves to a fresh block.
V3 (once)        exactly one decrement brings the count to 0, and that one pushes the block.  Holders are added and taken
                 away by a CAS from a word of the caller's generation with a count above 0, so a holder too many, or one of
                 a block that has gone on to another array, changes nothing: -1, and the caller tells it (record.py).
A1 (no ABA)      the return list is pushed by CAS and only ever taken whole by exchange(0), so a head that comes back
                 after having been taken still has its own, rewritten next word.
A2 (death)       a worker killed inside `allocate` or `release` loses at most blocks of lists that it was changing; pushes
                 by others are one CAS each.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import cas, exchange, fetch_add, load, load_relaxed

BUMP, COMMITTED, BYTES, LISTS = 64, 72, 80, 128
CLASS, HOLDERS, OFFSET, PINNED = 8, 16, 32, 40
HEADER = 64
FIRST = 4096
COUNT = (1 << 32) - 1
GENERATIONS = (1 << 30) - 1
WRITING = 1 << 62
SMALLEST = 12  # classes start at 4 KiB; four per doubling
NOT_PINNED, IS_PINNED, GIVEN = range(
    3
)  # values of PINNED: a GIVEN block belongs to the receiver alone
N_CLASSES = 4 * (48 - SMALLEST)


@kernel("nn")
def init(arena, n_bytes):
    """Make an empty arena in zeroed memory of `n_bytes`, nothing of it committed yet."""
    poke(arena + BUMP, FIRST)
    poke(arena + COMMITTED, FIRST)
    poke(arena + BYTES, n_bytes)


@kernel("n=n")
def committed(arena):
    """Bytes of the arena that have memory."""
    return peek(arena + COMMITTED)


@kernel("nn")
def set_committed(arena, n_bytes):
    """More of the arena has memory now (the owner)."""
    poke(arena + COMMITTED, n_bytes)


@kernel("n=n")
def class_of(n_bytes):
    """Size class that holds `n_bytes`: (4 + quarter) << (SMALLEST - 2 + doubling)."""
    size_class = 0
    size = 1 << SMALLEST
    while size + 3 * (size >> 2) < n_bytes:
        size <<= 1
        size_class += 4
    while size < n_bytes and size_class & 3 != 3:
        size += ((1 << SMALLEST) << (size_class >> 2)) >> 2
        size_class += 1
    if size < n_bytes:
        size_class += 1
    return size_class


@kernel("n=n")
def class_bytes(size_class):
    """Payload bytes of a size class."""
    return (4 + (size_class & 3)) << (SMALLEST - 2 + (size_class >> 2))


@kernel("n")
def sort_returns(arena):
    """Move every returned block to the free list of its class (the owner)."""
    # Pairs with the CAS in `push_return`: Note [Holders] A1.
    offset = exchange(arena, 0)
    while offset != 0:
        block = arena + offset
        following = peek(block)
        place = arena + LISTS + 8 * peek(block + CLASS)
        poke(block, peek(place))
        poke(place, offset)
        offset = following


@kernel("nn=n")
def allocate(arena, n_bytes):
    """A block with one holder for `n_bytes`; 0 the arena is full; below 0 that many more bytes must be committed."""
    size_class = class_of(n_bytes)
    place = arena + LISTS + 8 * size_class
    offset = peek(place)
    if offset == 0:
        sort_returns(arena)
        offset = peek(place)
    block = arena + offset
    if offset != 0:
        poke(place, peek(block))
    else:
        need = HEADER + class_bytes(size_class)
        bump = peek(arena + BUMP)
        if bump + need > peek(arena + BYTES):
            return 0
        if bump + need > peek(arena + COMMITTED):
            return peek(arena + COMMITTED) - bump - need
        poke(arena + BUMP, bump + need)
        block = arena + bump
        poke(block + CLASS, size_class)
        poke(block + OFFSET, bump)
    poke(block + PINNED, 0)
    # No partner needed: nobody else knows the block before a message with its address is published.
    poke(block + HOLDERS, ((((peek(block + HOLDERS) >> 32) + 1) & GENERATIONS) << 32) | 1)
    return block


@kernel("nn")
def set_pinned(block, value):
    """Pinned: something outside nbgrad can write it, so it is copied when sent.  Given: the receiver may write it."""
    poke(block + PINNED, value)


@kernel("n=n")
def is_pinned(block):
    """1 if something outside nbgrad can write the block."""
    return 1 if peek(block + PINNED) == IS_PINNED else 0


@kernel("n=n")
def holders(block):
    """How many hold the block; with WRITING where it is being written."""
    return load(block + HOLDERS) & (COUNT | WRITING)


@kernel("n=n")
def generation(block):
    """Which array has the block: for its holders, it does not change."""
    # Relaxed, since the caller got to know the block by something that is ordered after `allocate`.
    return (load_relaxed(block + HOLDERS) >> 32) & GENERATIONS


@kernel("n")
def push_return(block):
    """Put the block into its owner's return list."""
    offset = peek(block + OFFSET)
    arena = block - offset
    # Pairs with the exchange in `sort_returns`: Note [Holders] A1.
    head = load(arena)
    while True:
        poke(block, head)
        found = cas(arena, head, offset)
        if found == head:
            break
        head = found


@kernel("nn=n")
def hold(block, holder):
    """Add a holder to what has generation `holder`: 1; 0 while it is being written (look again); -1 it is gone: a bug."""
    while True:
        word = load(block + HOLDERS)
        if (word >> 32) & GENERATIONS != holder or word & COUNT == 0:
            return -1
        if word & WRITING != 0:
            return 0
        # Pairs with `begin_write`: Note [Holders] V1.
        if cas(block + HOLDERS, word, word + 1) == word:
            return 1


@kernel("nn=n")
def release(block, holder):
    """Take a holder of generation `holder` away, giving the block back with the last one: those left, or -1: a bug."""
    while True:
        word = load(block + HOLDERS)
        if (word >> 32) & GENERATIONS != holder or word & COUNT == 0 or word & WRITING != 0:
            return -1  # the one holder of what is being written is the writer's
        # Pairs with itself in other holders, and with the loads of the owner's `allocate`: Note [Holders] V3.
        if cas(block + HOLDERS, word, word - 1) == word:
            break
    if word & COUNT == 1:
        push_return(block)
    return (word & COUNT) - 1


@kernel("n=n")
def begin_write(block):
    """1: the caller is the only holder and may write until `end_write`; 0: it must take a fresh block."""
    word = load(block + HOLDERS)
    if word & (COUNT | WRITING) != 1:
        return 0
    # Pairs with `hold`: Note [Holders] V1.
    return 1 if cas(block + HOLDERS, word, word | WRITING) == word else 0


@kernel("n")
def end_write(block):
    """The write is done: snapshots may be taken again."""
    # Pairs with `hold`: Note [Holders] V1.  The storage itself is the one holder, since none could be added.
    fetch_add(block + HOLDERS, -WRITING)
