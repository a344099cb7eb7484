"""The two native calls of a process group: `begin` does a whole small operation, `go` takes one further.

Both are bound to the group's private block (rounds.py).  `begin` keeps the GIL and spins for a few microseconds at most;
`go` gives the GIL back and ends after one slice, so that its caller can look at signals, deaths and the deadline.
"""

from nbgrad.collectives.rounds import (
    ALL,
    BLOCK_BYTES,
    BOX_BYTES,
    CHUNKS,
    COMBINE,
    DIMS,
    DIRECT_BYTES,
    FINISH,
    IN,
    IN_BYTES,
    IN_USE,
    INLINE_BYTES,
    ITEM,
    MAX_ND,
    MEMBERS,
    MOVE,
    ND,
    OFFER,
    OUT,
    OUT_BYTES,
    PHASE,
    PIECE,
    PIECES,
    REDUCE,
    ROOT,
    RUNNING,
    SHARED,
    SHOWS,
    STAGE,
    START,
    STRIDE,
    TO_SHOW,
    TRAILS,
    WHAT,
    advance,
)
from nbgrad.jit import fastcall
from nbgrad.jit.fastcall import from_int, restore_thread, save_thread, to_int
from nbgrad.jit.primitive import peek, peek32, poke
from nbgrad.shm.waiting import PAUSES, SPIN_NS, YIELDS
from nbgrad.shm.wire import n_elements

NOT_SMALL = (
    8  # what `begin` returns, besides the values of `advance`: the operation needs the long way
)
N_OPS = 8
# Words behind the private block: NumPy's type, number of dtypes, then (dtype object, item size) per dtype code, then per
# code and operation the addresses of the functions that combine and finish (0: not there yet).
NDARRAY, N_DTYPES, DTYPES = BLOCK_BYTES, BLOCK_BYTES + 8, BLOCK_BYTES + 16
MOST_DTYPES = 16
REDUCERS = DTYPES + 16 * MOST_DTYPES
ALL_BYTES = REDUCERS + 16 * N_OPS * MOST_DTYPES
MOVE_BITS, SHOWS_BIT = 8, 1 << 8  # of `begin`'s second argument; the root stands above
DTYPE_SHIFT, OP_SHIFT = 16, 8  # where WHAT holds the dtype's code and the operation


@fastcall
def begin(block, args, n_args):
    """begin(what, how, in, out) -> NOT_SMALL, or what `advance` returns; RUNNING: go on with `go`.

    Block: the private block.  `what`: WHAT without the dtype; `how`: MOVE, SHOWS_BIT, root above.  Both arrays must be plain
    and C-contiguous, of one dtype, and fit into a box; `out` must lie in private memory.
    """
    g = peek(block)
    what, how = from_int(peek(args)), from_int(peek(args + 8))
    a, b = peek(args + 16), peek(args + 24)
    if (
        peek(g + IN_USE) != 0
        or peek(a + 8) != peek(g + NDARRAY)
        or peek(b + 8) != peek(g + NDARRAY)
    ):
        return to_int(NOT_SMALL)
    dtype, code = peek(a + 56), 0
    n_dtypes = peek(g + N_DTYPES)
    while code < n_dtypes and peek(g + DTYPES + 16 * code) != dtype:
        code += 1
    nd = peek32(a + 24)
    if code == n_dtypes or peek(b + 56) != dtype or nd > MAX_ND:
        return to_int(NOT_SMALL)
    if peek32(a + 64) & 1 == 0 or peek32(b + 64) & 0x401 != 0x401:
        return to_int(NOT_SMALL)
    base = peek(b + 48)  # NULL, or an array that owns its memory: nobody else can hold it
    if base != 0 and (peek(base + 8) != peek(g + NDARRAY) or peek(base + 48) != 0):
        return to_int(NOT_SMALL)
    item = peek(g + DTYPES + 16 * code + 8)
    n_bytes = n_elements(nd, peek(a + 32)) * item
    n_out = n_elements(peek32(b + 24), peek(b + 32)) * item
    kind = how & (SHOWS_BIT - 1)
    members, most = peek(g + MEMBERS), max(peek(g + BOX_BYTES), INLINE_BYTES)
    if (
        n_bytes > most
        or n_bytes >= DIRECT_BYTES
        or n_out != (n_bytes * members if kind == ALL else n_bytes)
    ):
        return to_int(NOT_SMALL)
    if kind == REDUCE:
        place = g + REDUCERS + 16 * (code * N_OPS + ((what >> OP_SHIFT) & (N_OPS - 1)))
        if peek(place) == 0:
            return to_int(NOT_SMALL)
        poke(g + COMBINE, peek(place))
        poke(g + FINISH, peek(place + 8))
    data, out = peek(a + 16), peek(b + 16)
    for k in range(nd):
        poke(g + DIMS + 8 * k, peek(peek(a + 32) + 8 * k))
    poke(g + ND, nd)
    poke(g + WHAT, what | code << DTYPE_SHIFT)
    poke(g + MOVE, kind)
    poke(g + ROOT, (how >> (MOVE_BITS + 1)))
    poke(g + SHOWS, (how >> MOVE_BITS) & 1)
    poke(g + ITEM, item)
    poke(g + PIECES, 1)
    poke(g + PIECE, n_bytes)
    poke(g + STRIDE, (n_bytes + 7) & -8)
    poke(g + START, 0)
    poke(g + PHASE, CHUNKS)
    poke(g + TRAILS, 0)
    poke(g + OFFER, 0)
    poke(g + SHARED, 0)
    poke(g + IN, data)
    poke(g + IN_BYTES, n_bytes)
    poke(g + OUT, out)
    poke(g + OUT_BYTES, n_bytes)
    if kind == ALL:
        for p in range(members):
            poke(g + OUT + 8 * p, out + p * n_bytes)
            poke(g + OUT_BYTES + 8 * p, n_bytes)
    poke(g + STAGE, TO_SHOW)
    poke(g + IN_USE, 1)
    result = advance(g, PAUSES, 0, 0)
    if result != RUNNING:
        poke(g + IN_USE, 0)
    return to_int(result)


@fastcall
def go(block, args, n_args):
    """go(patience_ns) -> what `advance` returns.  Block: the private block."""
    g = peek(block)
    patience = from_int(peek(args))
    thread = save_thread()
    spins = patience <= SPIN_NS  # a longer slice follows others in which nothing came
    result = advance(g, PAUSES if spins else 1, YIELDS if spins else 0, patience)
    restore_thread(thread)
    return to_int(result)
