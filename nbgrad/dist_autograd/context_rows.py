"""Context rows: who takes part in an autograd context, in shared memory, so that a release reaches all and only them.

    +0   id of the context that has the row                                             its creator
    +8   use << 48 | RELEASING << 40 | mask of workers                                  CAS by anyone
    +16  one acknowledgement word per worker: the id that it has released               that worker

Note [Context rows]
~~~~~~~~~~~~~~~~~~~
C1 (all told)     a sender joins the receiver by a CAS before it posts a message of the context; release turns the word to
                  RELEASING by a CAS, which gives the final mask: no worker can join afterwards.
C2 (no ghosts)    a message whose id is not the row's, or whose row is RELEASING, makes no context (! a late message
                  would resurrect a released one).  The use count in the word keeps a CAS from meeting a recycled row.
                  A row that nobody has opened has a mask of no worker, and belongs to no context, whatever id is asked for
                  (! an id of zeros matched a row of zeros).
C3 (reuse)        the creator reuses a row after each worker of the final mask has acknowledged.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import cas, load, store

WORD, ACKS = 8, 16
RELEASING = 1 << 40
MASK = (1 << 40) - 1


@kernel("nnn")
def open_row(row, context_id, bit):
    """The creator starts a context, with itself as its only worker."""
    poke(row, context_id)
    store(row + WORD, ((context_id >> 16) & 0x7FFF) << 48 | bit)


@kernel("nnn=n")
def join(row, context_id, bit):
    """Add a worker; 1, or 0: the context is released."""
    use = (context_id >> 16) & 0x7FFF
    while True:
        word = load(row + WORD)
        if (
            word >> 48 != use
            or word & MASK == 0
            or word & RELEASING != 0
            or peek(row) != context_id
        ):
            return 0
        # Pairs with the CAS in `release`: Note [Context rows] C1.
        if word & bit != 0 or cas(row + WORD, word, word | bit) == word:
            return 1


@kernel("nn=n")
def release(row, context_id):
    """Close the context; the mask of its workers, or 0 if somebody else has closed it."""
    use = (context_id >> 16) & 0x7FFF
    while True:
        word = load(row + WORD)
        if (
            word >> 48 != use
            or word & MASK == 0
            or word & RELEASING != 0
            or peek(row) != context_id
        ):
            return 0
        # Pairs with the CAS in `join`: Note [Context rows] C1.
        if cas(row + WORD, word, word | RELEASING) == word:
            return word & MASK


@kernel("nn=n")
def is_open(row, context_id):
    """1 while the row is this context's and not released."""
    word = load(row + WORD)
    return (
        1
        if word >> 48 == (context_id >> 16) & 0x7FFF
        and word & RELEASING == 0
        and word & MASK != 0
        and peek(row) == context_id
        else 0
    )


@kernel("nnn")
def acknowledge(row, rank, context_id):
    """This worker has nothing of the context any more."""
    # Pairs with `is_free`: Note [Context rows] C3.
    store(row + ACKS + 8 * rank, context_id + 1)


@kernel("nn=n")
def is_free(row, world):
    """1 if the row's released context has been acknowledged by all of its workers."""
    word, context_id = load(row + WORD), peek(row)
    if word & RELEASING == 0:
        return 0
    for rank in range(world):
        if (word >> rank) & 1 != 0 and load(row + ACKS + 8 * rank) != context_id + 1:
            return 0
    return 1
