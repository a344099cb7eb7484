"""Wire: one message with its arrays into or out of a ring, in ONE native call each way.

Note [Post]
~~~~~~~~~~~
`post` counts, writes, publishes and rings the bell in one call, so neither a signal nor an exception falls in between.
P1 (unit)     the unit is added to the pass's row before the record is published (! after it, the receiver may give the unit
              back first, and the pass ends early).
P2 (holder)   a holder is added to each block before the record is published: Note [Holders] of arena.py.
P3 (all or nothing)  a full ring changes nothing: no unit, no holder, no record.
The segment is mapped at another address in each process, so what crosses is offsets from its start.
"""

from nbgrad.jit import fastcall, kernel, native
from nbgrad.jit.fastcall import (
    from_int,
    inc_ref,
    new_bytes,
    new_capsule,
    new_tuple,
    to_int,
)
from nbgrad.jit.primitive import (
    call_address_2,
    call_address_8,
    copy_bytes,
    external,
    peek,
    peek32,
    poke,
    scratch,
)
from nbgrad.shm.arena import (
    COUNT,
    GENERATIONS,
    GIVEN,
    HEADER,
    HOLDERS,
    IS_PINNED,
    NOT_PINNED,
    PINNED,
    WRITING,
    generation,
    hold,
    release,
)
from nbgrad.shm.atomics import fetch_add, load_relaxed
from nbgrad.shm.bell import knock, take_bits
from nbgrad.shm.layout import (
    SENT_BYTES,
    SENT_MESSAGES,
    SENT_TO,
    TAKEN,
    TO_COPIED,
    TO_MESSAGES,
    TO_ZERO_COPY,
)
from nbgrad.shm.record import (
    BLOCK,
    CAPSULE,
    CONTEXT,
    DESTRUCTOR,
    DTYPES,
    FAULT,
    FORKED,
    GIVEN_BACK,
    INLINE,
    MAX_ND,
    N_DTYPES,
    N_HEADER,
    NAME,
    NDARRAY,
    NEW_ARRAY,
    NONE,
    OK,
    OWN,
    OWNED,
    RANK,
    RING_BYTES,
    RING_IN,
    RING_OUT,
    SEGMENT,
    SEGMENT_END,
    SENT_STALE,
    SET_BASE,
    WORKER_BYTES,
    WORKERS,
    fault_of,
    n_elements,
    note_fault,
    tell_fault,
)
from nbgrad.shm.ring import claim, front, publish
from nbgrad.shm.ring import release as release_record

MAX_INLINE = 4096  # an array in an arena is sent by descriptor from this size on
FULL, SENT, TOO_LARGE, UNREADABLE, BUSY, CORRUPT = range(6)  # what `post` returns
OUTSTANDING = 8  # offset of a row's counter of units

capsule_pointer = external("PyCapsule_GetPointer", 2)


@kernel("nnnnn")
def commit(row, ring, record, worker, bit):
    """Count, publish, ring: the order is Note [Post] P1."""
    if row != 0:
        fetch_add(row + OUTSTANDING, 1)
    publish(ring, record)
    knock(worker, bit)


@native
def drop_block(capsule):
    """Destructor of the capsule that an array in an arena has as its base: one holder less."""
    name = peek(capsule + 24)
    if peek(name + FORKED) == 0:  # a forked child must not give back what its parent holds
        block, held = capsule_pointer(capsule, name), peek(capsule + CONTEXT)
        if release(block, held) < 0:
            note_fault(name, GIVEN_BACK, block, held)
    return 0


@kernel("nn=n")
def base_capsule(array, block):
    """Capsule of the arena block under an array, or 0: private memory, or part of another array."""
    base = peek(array + 48)
    if base == 0:
        return 0
    if peek(base + 8) == peek(block + NDARRAY):
        base = peek(base + 48)
        if base == 0:
            return 0
    if peek(base + 8) != peek(block + CAPSULE) or peek(base + 24) != peek(block + NAME):
        return 0
    return base


@kernel("nn=n")
def sendable(capsule, block):
    """The capsule's block if it may be sent in place, or 0: there is none, it is pinned, or in another segment."""
    if capsule == 0:
        return 0
    found = peek(capsule + 16)
    if found < peek(block + SEGMENT) or found >= peek(block + SEGMENT_END):
        return 0
    return 0 if peek(found + PINNED) == IS_PINNED else found


@kernel("nn=n")
def code_of(dtype, block):
    """Index of a dtype object in the block's table, or -1."""
    for k in range(peek(block + N_DTYPES)):
        if peek(block + DTYPES + 16 * k) == dtype:
            return k
    return -1


@fastcall
def post(block, args, n_args):
    """post(target, row, kind, h0..h5, arrays, extra) -> SENT, FULL, TOO_LARGE, UNREADABLE, BUSY (being written) or CORRUPT.

    `arrays` is a tuple of C-contiguous ndarrays of the table's dtypes, `extra` bytes or None, `row` the address of the
    pass's row or 0.
    """
    target = from_int(peek(args))
    arrays = peek(args + 8 * (3 + N_HEADER))
    extra = peek(args + 8 * (4 + N_HEADER))
    n_arrays = peek(arrays + 16)
    need = 8 * (3 + N_HEADER)
    if peek(peek(block + NAME) + FAULT) != 0:
        return to_int(CORRUPT)
    for k in range(n_arrays):
        a = peek(arrays + 24 + 8 * k)
        if peek(a + 8) != peek(block + NDARRAY):  # what follows is only there in an ndarray
            return to_int(UNREADABLE)
        nd = peek32(a + 24)
        code = code_of(peek(a + 56), block)
        if code < 0 or peek32(a + 64) & 1 == 0 or nd > MAX_ND:
            return to_int(UNREADABLE)
        n_bytes = n_elements(nd, peek(a + 32)) * peek(block + DTYPES + 16 * code + 8)
        need += 24 + 8 * nd
        capsule = base_capsule(a, block) if n_bytes >= MAX_INLINE else 0
        found = sendable(capsule, block)
        if found != 0:
            # Atomic, since holders elsewhere come and go; relaxed, since WRITING is set and cleared under the GIL.
            word, held = load_relaxed(found + HOLDERS), peek(capsule + CONTEXT)
            if (word >> 32) & GENERATIONS != held or word & COUNT == 0:
                # Note [Faults] F2 of record.py
                note_fault(peek(block + NAME), SENT_STALE, found, held)
                return to_int(CORRUPT)
            if word & WRITING != 0:
                return to_int(BUSY)
            need += 24
        else:
            need += (n_bytes + 7) & -8
    n_extra = 0
    if extra != peek(block + NONE):
        n_extra = peek(extra + 16)
        need += (n_extra + 7) & -8
    ring = peek(block + RING_OUT) + target * peek(block + RING_BYTES)
    if need > (peek(ring + 128) >> 1) - 8:
        return to_int(TOO_LARGE)
    record = claim(ring, need)
    if record == 0:
        return to_int(FULL)
    for k in range(1 + N_HEADER):
        poke(record + 8 * k, from_int(peek(args + 16 + 8 * k)))
    at = record + 8 * (1 + N_HEADER)
    poke(at, n_extra)
    poke(at + 8, n_arrays)
    at += 16
    segment, own = peek(block + SEGMENT), peek(block + OWN)
    poke(own + SENT_MESSAGES, peek(own + SENT_MESSAGES) + 1)
    sent = own + SENT_TO + SENT_BYTES * target
    poke(sent + TO_MESSAGES, peek(sent + TO_MESSAGES) + 1)
    for k in range(n_arrays):
        a = peek(arrays + 24 + 8 * k)
        nd, dims, data = peek32(a + 24), peek(a + 32), peek(a + 16)
        code = code_of(peek(a + 56), block)
        n_bytes = n_elements(nd, dims) * peek(block + DTYPES + 16 * code + 8)
        poke(at + 8, code)
        poke(at + 16, nd)
        for d in range(nd):
            poke(at + 24 + 8 * d, peek(dims + 8 * d))
        capsule = base_capsule(a, block) if n_bytes >= MAX_INLINE else 0
        found = sendable(capsule, block)
        if found != 0 and peek(found + PINNED) != GIVEN:
            poke(sent + TO_ZERO_COPY, peek(sent + TO_ZERO_COPY) + n_bytes)
        else:
            poke(sent + TO_COPIED, peek(sent + TO_COPIED) + n_bytes)
        if found != 0:
            poke(at, BLOCK if peek(found + PINNED) != GIVEN else OWNED)
            at += 24 + 8 * nd
            # It is not being written: looked at above, and writes begin under the GIL, which we hold.
            hold(found, peek(capsule + CONTEXT))
            poke(at, data - segment)
            poke(at + 8, found - segment)
            poke(at + 16, peek(capsule + CONTEXT))
            at += 24
        else:
            poke(at, INLINE)
            at += 24 + 8 * nd
            copy_bytes(at, data, n_bytes)
            at += (n_bytes + 7) & -8
    if n_extra > 0:
        copy_bytes(at, extra + 32, n_extra)
    row = from_int(peek(args + 8))
    worker = peek(block + WORKERS) + target * peek(block + WORKER_BYTES)
    commit(row, ring, record, worker, 1 << peek(block + RANK))
    return to_int(SENT)


@kernel("nnnnnn=n")
def make_array(block, code, nd, dims, data, flags):
    """A new reference to an ndarray; data 0: fresh memory, else a view without a base."""
    dtype = peek(block + DTYPES + 16 * code)
    inc_ref(dtype)  # PyArray_NewFromDescr takes it over
    return call_address_8(
        peek(block + NEW_ARRAY), peek(block + NDARRAY), dtype, nd, dims, 0, data, flags, 0
    )


@kernel("nnn=n")
def adopt(block, array, found):
    """Give `array` a capsule over the block as its base, which gives one holder back when it goes; 0, or -1 on an error."""
    capsule = new_capsule(found, peek(block + NAME), peek(block + DESTRUCTOR))
    if capsule == 0:
        return -1
    poke(capsule + CONTEXT, generation(found))
    return call_address_2(peek(block + SET_BASE), array, capsule)


@fastcall
def view(block, args, n_args):
    """view(arena block, dtype code, shape) -> a writable array over the block, which takes over one holder."""
    found, shape = from_int(peek(args)), peek(args + 16)
    nd = peek(shape + 16)
    dims = scratch()
    for d in range(nd):
        poke(dims + 8 * d, from_int(peek(shape + 24 + 8 * d)))
    array = make_array(block, from_int(peek(args + 8)), nd, dims, found + HEADER, 0x501)
    if array != 0:
        adopt(block, array, found)
    return array


@fastcall
def take(block, args, n_args):
    """take(mask) -> None or (source, kind, h0..h5, arrays, extra): the next message of any ring.

    `mask`: senders to look at besides those whose bit is set (the doorbell is a hint; every slice ends with a look at all).
    The caller holds the role.
    """
    own = peek(block + OWN)
    taken = peek(own + TAKEN) | from_int(peek(args))
    if taken == 0:
        taken = take_bits(own)
    record, source, ring = 0, 0, 0
    while taken != 0:
        source = 0
        while (taken >> source) & 1 == 0:
            source += 1
        if source != peek(block + RANK):
            ring = peek(block + RING_IN) + source * peek(block + RING_BYTES)
            record = front(ring)
            if record != 0:
                break
        taken &= ~(1 << source)
        if taken == 0:
            taken = take_bits(own)
    poke(own + TAKEN, taken)
    if record == 0:
        none = peek(block + NONE)
        inc_ref(none)
        return none
    message = new_tuple(4 + N_HEADER)
    poke(message + 24, to_int(source))
    fault = fault_of(block, ring, record)
    if fault != OK:
        tell_fault(block, ring, record, message, fault)
        poke(message + 24 + 8 * (2 + N_HEADER), new_tuple(0))
        none = peek(block + NONE)
        inc_ref(none)
        poke(message + 24 + 8 * (3 + N_HEADER), none)
        return message
    for k in range(1 + N_HEADER):
        poke(message + 32 + 8 * k, to_int(peek(record + 8 * k)))
    at = record + 8 * (1 + N_HEADER)
    n_extra, n_arrays = peek(at), peek(at + 8)
    at += 16
    arrays = new_tuple(n_arrays)
    segment = peek(block + SEGMENT)
    for k in range(n_arrays):
        form, code, nd, dims = peek(at), peek(at + 8), peek(at + 16), at + 24
        n_bytes = n_elements(nd, dims) * peek(block + DTYPES + 16 * code + 8)
        at += 24 + 8 * nd
        if form != INLINE:
            found = segment + peek(at + 8)
            array = make_array(
                block, code, nd, dims, segment + peek(at), 0x101 if form == BLOCK else 0x501
            )
            adopt(block, array, found)
            if (
                form == OWNED
            ):  # sent on, it is a value like any other (! the next receiver would write what we hold)
                poke(found + PINNED, NOT_PINNED)
            at += 24
        else:
            array = make_array(block, code, nd, dims, 0, 0)
            copy_bytes(peek(array + 16), at, n_bytes)
            at += (n_bytes + 7) & -8
        poke(arrays + 24 + 8 * k, array)
    poke(message + 24 + 8 * (2 + N_HEADER), arrays)
    if n_extra > 0:
        poke(message + 24 + 8 * (3 + N_HEADER), new_bytes(at, n_extra))
    else:
        none = peek(block + NONE)
        inc_ref(none)
        poke(message + 24 + 8 * (3 + N_HEADER), none)
    release_record(ring, record)
    if front(ring) == 0:  # whoever publishes after this look sets the bit again
        poke(own + TAKEN, taken & ~(1 << source))
    return message
