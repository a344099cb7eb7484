"""Kept blocks: memory of freed arrays that waits for the next array of its size.

    a mapping of whole pages:   +0 header, 64 bytes          +64 payload: what NumPy sees
    header:                     +0 MARK ^ payload's address while it is in use, else 0      +8 bytes of the mapping
                                +16 next in its list   +24 newer   +32 older   +40 when it was freed

`take`, `give` and what calls them run with the GIL held, in the process that owns `state`; nothing here is shared.

Note [Kept blocks]
~~~~~~~~~~~~~~~~~~
K1 (ours)   a payload starts 64 bytes after the start of a page, so the header of any such address can be read; the mark
            there, which contains the address, tells our blocks from those of another allocator.
K2 (bound)  arrays in use and kept blocks together stay within the most that was in use at once plus `ROOM`: the oldest are
            given back to the system first.  (Blocks of one size may be needed when those of another are not.)
K3 (idle)   what nobody needed while `IDLE` others were taken is given back.
"""

from nbgrad.jit.fastcall import callback
from nbgrad.jit.kernel import inline
from nbgrad.jit.primitive import Primitive, copy_bytes, external, peek, poke

# Words of the state.  The first five are those of the allocator that serves small arrays.
CONTEXT, MALLOC, CALLOC, REALLOC, FREE = 0, 8, 16, 24, 32
CLOCK, USED, KEPT, PEAK, REUSED, TAKEN, RETURNED, NEWEST, OLDEST, FRESH = range(40, 120, 8)
LISTS, N_LISTS = 128, 64
STATE_WORDS = LISTS // 8 + N_LISTS

MARK = 0x6E62677261642131
SIZE, NEXT, NEWER, OLDER, WHEN = 8, 16, 24, 32, 40  # in the header
HEADER, PAGE = 64, 4096
SMALLEST = 1 << 16  # of the arrays that are served here: smaller ones stay in the heap
PER_DOUBLING = 16  # sizes of mappings: so arrays of nearly one size share blocks; pages that nobody touches cost nothing
HUGE = 1 << 22  # from here on pages of 2 MiB, as NumPy's own allocator has it
ROOM = 1 << 25  # K2: 32 MiB, or half of the most that was in use
IDLE = 1 << 14  # K3

READ_WRITE, PRIVATE_ANONYMOUS, HUGE_PAGES = 3, 0x22, 14  # of mmap and madvise, on Linux
mmap, munmap, madvise = external("mmap", 6), external("munmap", 2), external("madvise", 3)
memset = external("memset", 3)
call_2, call_3 = (Primitive("call_address", "pointer", n_args=n + 1) for n in (2, 3))


@inline
def is_ours(payload):
    """K1."""
    return payload & (PAGE - 1) == HEADER and peek(payload - HEADER) == MARK ^ payload


@inline
def list_of(state, n_bytes):
    """Address of the word that holds the first kept block of mappings of this size, among others."""
    pages = n_bytes // PAGE
    return state + LISTS + 8 * ((pages ^ (pages >> 6) ^ (pages >> 12)) & (N_LISTS - 1))


@inline
def unlink(state, where, head):
    """Take a kept block, to which the word at `where` leads, out of its list and out of the order of age."""
    poke(where, peek(head + NEXT))
    newer, older = peek(head + NEWER), peek(head + OLDER)
    poke(newer + OLDER if newer else state + NEWEST, older)
    poke(older + NEWER if older else state + OLDEST, newer)
    poke(state + KEPT, peek(state + KEPT) - peek(head + SIZE))


@inline
def give_back(state):
    """Give the oldest kept block back to the system."""
    head = peek(state + OLDEST)
    n_bytes = peek(head + SIZE)
    where = list_of(state, n_bytes)
    while peek(where) != head:
        where = peek(where) + NEXT
    unlink(state, where, head)
    munmap(head, n_bytes)
    poke(state + RETURNED, peek(state + RETURNED) + 1)


@inline
def mapped(state, n_bytes):
    """A new mapping, after room has been made for it (K2), or 0."""
    used, peak = peek(state + USED) + n_bytes, peek(state + PEAK)
    most = max(used, peak)
    most += max(most // 2, ROOM)
    while peek(state + OLDEST) and used + peek(state + KEPT) > most:
        give_back(state)
    head = mmap(0, n_bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0)
    while head == -1 and peek(state + OLDEST):
        give_back(state)
        head = mmap(0, n_bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0)
    if head == -1:
        return 0
    if n_bytes >= HUGE:
        madvise(head, n_bytes, HUGE_PAGES)
    poke(head + SIZE, n_bytes)
    poke(state + TAKEN, peek(state + TAKEN) + 1)
    return head


@inline
def take(state, size):
    """A payload of at least `size` bytes, or 0; `FRESH` of the state tells whether it is full of zeros."""
    step = PAGE
    while size + HEADER > step * PER_DOUBLING:
        step *= 2
    n_bytes = (size + HEADER + step - 1) & -step
    clock = peek(state + CLOCK) + 1
    poke(state + CLOCK, clock)
    while peek(state + OLDEST) and clock - peek(peek(state + OLDEST) + WHEN) > IDLE:
        give_back(state)
    where = list_of(state, n_bytes)
    head = peek(where)
    while head and peek(head + SIZE) != n_bytes:
        where = head + NEXT
        head = peek(where)
    poke(state + FRESH, 0 if head else 1)
    if head:
        unlink(state, where, head)
        poke(state + REUSED, peek(state + REUSED) + 1)
    else:
        head = mapped(state, n_bytes)
        if head == 0:
            return 0
    used = peek(state + USED) + n_bytes
    poke(state + USED, used)
    poke(state + PEAK, max(used, peek(state + PEAK)))
    poke(head, MARK ^ (head + HEADER))
    return head + HEADER


@inline
def give(state, payload):
    """Keep the block of a payload."""
    head = payload - HEADER
    n_bytes = peek(head + SIZE)
    poke(head, 0)
    poke(state + USED, peek(state + USED) - n_bytes)
    poke(state + KEPT, peek(state + KEPT) + n_bytes)
    where, newest = list_of(state, n_bytes), peek(state + NEWEST)
    poke(head + NEXT, peek(where))
    poke(where, head)
    poke(head + NEWER, 0)
    poke(head + OLDER, newest)
    poke(newest + NEWER if newest else state + OLDEST, head)
    poke(state + NEWEST, head)
    poke(head + WHEN, peek(state + CLOCK))


# What NumPy calls.  `state` is the context that it was told.


@callback
def block_malloc(state, size):
    """Memory for an array; what the system does not give is asked of the other allocator, which says no for us."""
    if size >= SMALLEST:
        payload = take(state, size)
        if payload:
            return payload
    return call_2(peek(state + MALLOC), peek(state + CONTEXT), size)


@callback
def block_calloc(state, count, size):
    """Memory of zeros."""
    if size > 0 and count >= (1 << 62) // size:
        return 0  # the product would be another number
    if count * size >= SMALLEST:
        payload = take(state, count * size)
        if payload:
            if peek(state + FRESH) == 0:
                memset(payload, 0, count * size)
            return payload
    return call_3(peek(state + CALLOC), peek(state + CONTEXT), count, size)


@callback
def block_realloc(state, payload, size):
    """Another size for an array: what was served by one allocator moves, or stays with it."""
    if not is_ours(payload):
        return call_3(peek(state + REALLOC), peek(state + CONTEXT), payload, size)
    moved = 0
    if size >= SMALLEST:
        moved = take(state, size)
    if moved == 0:
        moved = call_2(peek(state + MALLOC), peek(state + CONTEXT), size)
    if moved:
        copy_bytes(moved, payload, min(size, peek(payload - HEADER + SIZE) - HEADER))
        give(state, payload)
    return moved


@callback
def block_free(state, payload, size):
    """An array has gone."""
    if is_ours(payload):
        give(state, payload)
    else:
        call_3(peek(state + FREE), peek(state + CONTEXT), payload, size)
    return 0


@callback
def give_back_all(state):
    """Give all kept blocks back to the system."""
    while peek(state + OLDEST):
        give_back(state)
    return 0
