"""Ring: variable-size records from one producer to one consumer through shared memory.

    +0    tail, bytes ever published       producer writes, consumer reads      (its own cache line)
    +64   head, bytes ever consumed        consumer writes, producer reads      (its own cache line)
    +128  capacity in bytes, a power of two; constant
    +256  data

A record is a length word and its payload, padded to 8 bytes, and never wraps: where it does not fit before the end,
a length of -1 sends the consumer to the start.  A record takes at most half of the capacity, so an empty ring always
has room for it.  Many threads of a process share an end; the GIL is held during each call, so one is in it at a time.

Note [Ring]
~~~~~~~~~~~
Assumes  words are 8-byte aligned; one process produces, one consumes, each under its own lock (the GIL).
R1 (once, whole)  the consumer reads a record only below `tail`, which the producer moves with release after the whole
                  record is written; `head` moves with release after the record was read, and the producer reuses the
                  bytes only above what it read there with acquire.
R3 (death)        only the producer writes tail and data, only the consumer writes head: a process killed between any
                  two instructions leaves the ring as it was before or after its record, and no other ring is touched.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import copy_bytes, peek, poke
from nbgrad.shm.atomics import load_acquire, load_relaxed, store_release

HEAD, CAPACITY, DATA = 64, 128, 256


def size_bytes(capacity: int) -> int:
    """Bytes of shared memory that a ring takes."""
    return DATA + capacity


@kernel("nn")
def init(ring, capacity):
    """Make an empty ring in zeroed memory."""
    poke(ring + CAPACITY, capacity)


@kernel("nn=n")
def claim(ring, n_bytes):
    """Where to write a record of `n_bytes`, or 0: the ring has no room now.  Nothing is visible before `publish`."""
    capacity = peek(ring + CAPACITY)
    total = 8 + ((n_bytes + 7) & -8)
    tail = load_relaxed(ring)
    offset = tail & (capacity - 1)
    skip = 0
    if capacity - offset < total:
        skip = capacity - offset
    # Pairs with the store_release in `release`: bytes below head were read by the consumer.  Note [Ring] R1.
    if tail + skip + total - load_acquire(ring + HEAD) > capacity:
        return 0
    if skip > 0:
        poke(ring + DATA + offset, -1)
        offset = 0
    poke(ring + DATA + offset, total)
    return ring + DATA + offset + 8


@kernel("nn")
def publish(ring, record):
    """Make the record that `claim` gave visible to the consumer."""
    capacity = peek(ring + CAPACITY)
    tail = load_relaxed(ring)
    offset = tail & (capacity - 1)
    skip = 0
    if record - 8 == ring + DATA and offset > 0:
        skip = capacity - offset
    # Pairs with the load_acquire in `front`: publishes the record.  Note [Ring] R1.
    store_release(ring, tail + skip + peek(record - 8))


@kernel("n=n")
def front(ring):
    """The oldest record not yet released, or 0: the ring is empty."""
    head = load_relaxed(ring + HEAD)
    # Pairs with the store_release in `publish`.  Note [Ring] R1.
    tail = load_acquire(ring)
    if head == tail:
        return 0
    capacity = peek(ring + CAPACITY)
    offset = head & (capacity - 1)
    if peek(ring + DATA + offset) < 0:
        offset = 0
    return ring + DATA + offset + 8


@kernel("nn")
def release(ring, record):
    """Give the bytes of the record that `front` gave back to the producer."""
    capacity = peek(ring + CAPACITY)
    head = load_relaxed(ring + HEAD)
    offset = head & (capacity - 1)
    skip = 0
    if record - 8 == ring + DATA and offset > 0:
        skip = capacity - offset
    # Pairs with the load_acquire in `claim`: the record has been read.  Note [Ring] R1.
    store_release(ring + HEAD, head + skip + peek(record - 8))


@kernel("n=n")
def is_unread(ring):
    """1 if the consumer has not released everything that was published."""
    # Pairs with the stores in `publish` and `release`; only a hint, looked at again after every wait.
    return 1 if load_acquire(ring) != load_acquire(ring + HEAD) else 0


@kernel("nnn=n")
def push(ring, source, n_bytes):
    """Copy `n_bytes` from `source` into the ring and publish them; 0 if there is no room."""
    record = claim(ring, n_bytes)
    if record == 0:
        return 0
    copy_bytes(record, source, n_bytes)
    publish(ring, record)
    return 1


@kernel("nn=n")
def pop(ring, target):
    """Copy the oldest record to `target`; its size padded to 8, or -1 if the ring is empty."""
    record = front(ring)
    if record == 0:
        return -1
    n_bytes = peek(record - 8) - 8
    copy_bytes(target, record, n_bytes)
    release(ring, record)
    return n_bytes
