"""Arena: the blocks of one worker in shared memory, for arrays that travel without a copy.

Only the owner allocates; anybody who held a block last gives it back to the owner's return list.

    +0    return list: offset of the first returned block, or 0                  anyone pushes by CAS, the owner takes all
    +64   bump offset   +72 committed bytes   +80 arena bytes                    the owner
    +128  free list per size class                                               the owner
    blocks: a header of 64 bytes, then the payload, 64-byte aligned
      +0 next block in a list   +8 size class   +16 holders   +24 generation   +32 offset in its arena   +40 pinned
Each process maps the segment at another address, so all that is stored are offsets from the arena's start.

Note [Holders]
~~~~~~~~~~~~~~
`holders` counts the storage itself and its snapshots: messages under way and arrays in other workers, never views.
Bit 62 is WRITING: the owner of the storage writes into it now.
Assumes  a holder that hands the block on adds a holder BEFORE the message is published (! else the last one may free it).
V1 (value)       a writer gets WRITING only by a CAS from exactly 1, so no snapshot exists; a snapshot is added only by a
                 CAS from a value without WRITING (! checking first and writing then lets both happen).
V2 (no waiting)  `begin_write` fails at once where there are other holders: the writer moves to a fresh block.
V3 (once)        exactly one decrement brings holders to 0, and that one pushes the block; what `release` returns tells of a bug
                 where it is below 0 (nothing raises it yet).
A1 (no ABA)      the return list is pushed by CAS and only ever taken whole by exchange(0), so a head that comes back
                 after having been taken still has its own, rewritten next word.
A2 (death)       a worker killed inside `allocate` or `release` loses at most blocks of lists that it was changing; pushes
                 by others are one CAS each.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import cas, exchange, fetch_add, load

BUMP, COMMITTED, BYTES, LISTS = 64, 72, 80, 128
CLASS, HOLDERS, GENERATION, OFFSET, PINNED = 8, 16, 24, 32, 40
HEADER = 64
FIRST = 4096
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
    poke(block + GENERATION, peek(block + GENERATION) + 1)
    poke(block + PINNED, 0)
    # No partner needed: nobody else knows the block before a message with its address is published.
    poke(block + HOLDERS, 1)
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
    """How many hold the block."""
    return load(block + HOLDERS)


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


@kernel("n=n")
def hold(block):
    """Add a holder; 1, or 0 while the storage is being written (look again)."""
    while True:
        holders = load(block + HOLDERS)
        if holders & WRITING != 0:
            return 0
        # Pairs with `begin_write`: Note [Holders] V1.
        if cas(block + HOLDERS, holders, holders + 1) == holders:
            return 1


@kernel("n=n")
def release(block):
    """Take a holder away, giving the block back with the last one; the holders left (below 0: a bug)."""
    left = fetch_add(block + HOLDERS, -1) - 1
    if left == 0:
        push_return(block)
    return left


@kernel("n=n")
def begin_write(block):
    """1: the caller is the only holder and may write until `end_write`; 0: it must take a fresh block."""
    # Pairs with `hold`: Note [Holders] V1.
    return 1 if cas(block + HOLDERS, 1, 1 | WRITING) == 1 else 0


@kernel("n")
def end_write(block):
    """The write is done: snapshots may be taken again."""
    # Pairs with `hold`: Note [Holders] V1.  The storage itself is the one holder, since none could be added.
    fetch_add(block + HOLDERS, -WRITING)
