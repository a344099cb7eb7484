"""Record: what a message looks like in a ring, and whether what lies there is one.

A record:  kind | h0 .. h5 | extra bytes | number of arrays | then per array: form, dtype code, nd, dims, data
Form INLINE: the bytes follow.  Form BLOCK: address in the segment, block and its generation; the receiver reads in place
(BLOCK), or has it for itself (OWNED).

Note [Faults]
~~~~~~~~~~~~~
What the protocol never writes is not followed but told: the agent raises it as a ProtocolError (rpc/fault.py).
F1 (records)  `take` checks a record before it follows anything in it, and a block must still have the generation that its
              descriptor names, so nobody reads a block that has gone on to another array.  A bad record is dropped with
              all that is in its ring, and comes out as a message of kind BROKEN.
F2 (holders)  a capsule knows the generation of its block.  A holder too many that is given back, or one of a block that
              has gone on, changes nothing: it is noted behind the capsules' name, where `post` and `Agent.look` see it.
"""

from nbgrad.jit import kernel
from nbgrad.jit.fastcall import to_int
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.arena import CLASS, HEADER, class_bytes, generation, holders
from nbgrad.shm.atomics import load_acquire, store_release
from nbgrad.shm.ring import CAPACITY, DATA, HEAD

N_HEADER = 6
INLINE, BLOCK, OWNED = 0, 1, 2
MAX_ND = 16
FORKED = 16  # behind the capsules' name: 1 in a process that was forked from a worker
# and the first fault of this process (Note [Faults] F2): what, which block, generations, holders
FAULT_WORDS = range(24, 64, 8)
FAULT, FAULT_BLOCK, FAULT_HELD, FAULT_FOUND, FAULT_HOLDERS = FAULT_WORDS
GIVEN_BACK, SENT_STALE = 1, 2  # values of FAULT
ARRAY_DATA = 16  # of an ndarray: the address of its values
CONTEXT = 32  # of a capsule: the generation of its block when the array was made
# A message (source, BROKEN, what, array's number, named, found, place in the ring, bytes of the record, (), None)
BROKEN = 0
LEAST_BYTES = 8 * (4 + N_HEADER)  # of a record, with its length word
OK, BAD_LENGTH, BAD_COUNTS, BAD_FORM, BAD_DTYPE, BAD_DIMS, BAD_PLACE, STALE = range(8)  # h0
MOST_ELEMENTS = 1 << 40

# Words of the block of `post` and `take` (see Binding in agent.py): objects, NumPy's functions, then places.
(NONE, NDARRAY, CAPSULE, NEW_ARRAY, SET_BASE, SEGMENT, SEGMENT_END, OWN, RANK, RING_OUT, RING_IN, RING_BYTES, WORKERS,
 WORKER_BYTES, N_DTYPES, NAME, DESTRUCTOR) = range(0, 17 * 8, 8)  # fmt: skip
DTYPES = 17 * 8  # from here on: pairs (dtype object, item size)


@kernel("nn=n")
def n_elements(nd, dims):
    """Product of `nd` dims."""
    total = 1
    for k in range(nd):
        total *= peek(dims + 8 * k)
    return total


@kernel("nnnn")
def note_fault(name, what, block, held):
    """Remember the first fault of this process.  Note [Faults] F2."""
    if peek(name + FAULT) == 0:
        poke(name + FAULT_BLOCK, block)
        poke(name + FAULT_HELD, held)
        poke(name + FAULT_FOUND, generation(block))
        poke(name + FAULT_HOLDERS, holders(block))
        poke(name + FAULT, what)


@kernel("nn=n")
def count(nd, dims):
    """Product of `nd` dims, or -1: no array has these."""
    total = 1
    for k in range(nd):
        dim = peek(dims + 8 * k)
        if dim < 0 or dim > MOST_ELEMENTS:
            return -1
        if (total | dim) >> 22 != 0 and total > 0 and dim > MOST_ELEMENTS // total:
            return -1
        total *= dim
    return total


@kernel("nnn=n")
def fault_of(block, ring, record):
    """OK, or what is wrong with a record: what | array's number << 8.  Note [Faults] F1."""
    total = peek(record - 8)
    room = ring + DATA + peek(ring + CAPACITY) - (record - 8)
    if total < LEAST_BYTES or total > room or total & 7 != 0:
        return BAD_LENGTH
    end = record - 8 + total
    at = record + 8 * (1 + N_HEADER)
    n_extra, n_arrays = peek(at), peek(at + 8)
    at += 16
    if n_extra < 0 or n_extra > total or n_arrays < 0 or n_arrays > total:
        return BAD_COUNTS
    segment = peek(block + SEGMENT)
    most = peek(block + SEGMENT_END) - segment - HEADER
    for k in range(n_arrays):
        if at + 24 > end:
            return BAD_COUNTS
        form, code, nd = peek(at), peek(at + 8), peek(at + 16)
        if form < INLINE or form > OWNED:
            return BAD_FORM | k << 8
        if code < 0 or code >= peek(block + N_DTYPES):
            return BAD_DTYPE | k << 8
        if nd < 0 or nd > MAX_ND or at + 24 + 8 * nd > end:
            return BAD_DIMS | k << 8
        n_bytes = count(nd, at + 24)
        if n_bytes < 0:
            return BAD_DIMS | k << 8
        n_bytes *= peek(block + DTYPES + 16 * code + 8)
        at += 24 + 8 * nd
        if form == INLINE:
            if n_bytes > end - at:
                return BAD_DIMS | k << 8
            at += (n_bytes + 7) & -8
        else:
            if at + 24 > end:
                return BAD_COUNTS
            data, place = peek(at), peek(at + 8)
            if place < 0 or place > most or place & 63 != 0:
                return BAD_PLACE | k << 8
            if generation(segment + place) != peek(at + 16):
                return STALE | k << 8
            data -= place + HEADER
            if data < 0 or data + n_bytes > class_bytes(peek(segment + place + CLASS)):
                return BAD_PLACE | k << 8
            at += 24
    return OK if at + ((n_extra + 7) & -8) == end else BAD_COUNTS


@kernel("nnn=n")
def named(block, record, number):
    """Address of the descriptor of a record's array: data, block, generation."""
    at = record + 8 * (3 + N_HEADER)
    for _ in range(number):
        n_bytes = n_elements(peek(at + 16), at + 24) * peek(block + DTYPES + 16 * peek(at + 8) + 8)
        step = 24 if peek(at) != INLINE else (n_bytes + 7) & -8
        at += 24 + 8 * peek(at + 16) + step
    return at + 24 + 8 * peek(at + 16)


@kernel("nnnnn")
def tell_fault(block, ring, record, message, fault):
    """Fill the header of a message of kind BROKEN, and drop what is in the ring."""
    what, number, expected, found = fault & 255, fault >> 8, 0, 0
    if what == STALE:
        descriptor = named(block, record, number)
        expected = peek(descriptor + 16)
        found = generation(peek(block + SEGMENT) + peek(descriptor + 8))
    place = message + 32
    poke(place, to_int(BROKEN))
    poke(place + 8, to_int(what))
    poke(place + 16, to_int(number))
    poke(place + 24, to_int(expected))
    poke(place + 32, to_int(found))
    poke(place + 40, to_int(peek(ring + HEAD)))
    poke(place + 48, to_int(peek(record - 8)))
    # Where the next record begins is not known; pairs with the loads in `claim`, which find the ring empty.
    store_release(ring + HEAD, load_acquire(ring))
