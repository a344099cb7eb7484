"""Ledger: one row of shared words per backward pass; when its counter of units reaches 0, nothing is left anywhere.

    +0   state        (caller's use of the row << 16) | (rank that failed << 8) | RUNNING, DONE, FAILED, DRAINED    CAS only
    +8   outstanding  units of work posted and not yet handled                                          atomic adds
    +16  unserved     sends of the context on touched workers that have not got their gradient          atomic adds
    +24  touched      mask of workers that took part                                                    atomic ors
    +32  phase        0 running, 1 settling                                                             the finisher
    +40  id           of the pass: caller << 48 | use << 16 | row                                       the caller
    +48  mode         AUTO or FAST                                                                      the caller

Note [Ledger]
~~~~~~~~~~~~~
Assumes  the unit rule: a unit is added before a message is posted (wire.commit) and given back after it was handled,
         with all that its handling posted; the caller holds one unit while it starts.
         A row belongs to one PASS (! one per context lets an old pass end a new one).
G1 (no early end)   a unit is only created by code that still holds one, so the counter can't touch 0 while a message is
                    under way or a node is ready anywhere.
G2 (one finisher)   fetch_add hands each giver another old value, so at each zero exactly one sees it.
G4 (no mixing)      only the caller's process reuses a row, after it is closed and its own `backward` has returned; a closed
                    row has no units, so no message of it exists.  A row with a dead worker's units never closes.
Completion is read from `state`, never from `outstanding`.
"""

from nbgrad.jit import kernel
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import cas, fetch_add, fetch_or, load, store

OUTSTANDING, UNSERVED, TOUCHED, PHASE, ID, MODE = 8, 16, 24, 32, 40, 48
AUTO, FAST = range(2)
FREE, RUNNING, DONE, FAILED, DRAINED = range(5)


@kernel("nnn")
def open_row(row, pass_id, mode):
    """Start a pass: RUNNING with the caller's one unit."""
    poke(row + MODE, mode)
    poke(row + OUTSTANDING, 1)
    poke(row + UNSERVED, 0)
    poke(row + TOUCHED, 0)
    poke(row + PHASE, 0)
    poke(row + ID, pass_id)
    # Pairs with the loads of `status` in other workers, which see the row after a message of this pass.
    store(row, ((pass_id >> 16) & 0xFFFFFFFF) << 16 | RUNNING)


@kernel("n=n")
def status(row):
    """RUNNING, DONE, FAILED or DRAINED."""
    return load(row) & 255


@kernel("nn=n")
def outcome(row, pass_id):
    """As `status`, for a worker that knows the pass: 0 (FREE) if the row has gone on to another pass."""
    state = load(row)
    return 0 if state >> 16 != (pass_id >> 16) & 0xFFFFFFFF else state & 255


@kernel("n=n")
def mode(row):
    """AUTO or FAST."""
    return peek(row + MODE)


@kernel("n=n")
def units(row):
    """Units outstanding; exact only for whoever knows that none can be added."""
    return load(row + OUTSTANDING)


@kernel("n=n")
def failed_rank(row):
    """The rank whose failure came first."""
    return (load(row) >> 8) & 255


@kernel("nn")
def add_units(row, n_units):
    """Count work that is about to be posted."""
    fetch_add(row + OUTSTANDING, n_units)


@kernel("nn=n")
def give_back(row, n_units):
    """Work is handled, with all that it posted; 1 for the caller who brought the counter to 0: it must `close`."""
    return 1 if fetch_add(row + OUTSTANDING, -n_units) == n_units else 0


@kernel("nnn")
def count_sends(row, n_sends, bit):
    """First contact of a worker: its sends are to be served in this pass, and it has taken part."""
    fetch_add(row + UNSERVED, n_sends)
    fetch_or(row + TOUCHED, bit)


@kernel("nn")
def serve(row, n_sends):
    """Sends got their gradient, or the word that there is none."""
    fetch_add(row + UNSERVED, -n_sends)


@kernel("nn=n")
def handled(row, n_served):
    """A message is handled, which served `n_served` sends: its unit back, as `give_back`."""
    if n_served > 0:  # before the unit: whoever sees zero units reads how many are unserved
        serve(row, n_served)
    return give_back(row, 1)


@kernel("nn=n")
def fail(row, rank):
    """The pass fails because of `rank`; 1 if this is the first failure of a pass that still ran."""
    state = load(row)
    while state & 255 == RUNNING:
        # Pairs with the CAS of `close`: one of the two wins.
        found = cas(row, state, (state & -65536) | (rank << 8) | FAILED)
        if found == state:
            return 1
        state = found
    return 0


@kernel("n=n")
def close(row):
    """The finisher's move at zero: DONE or DRAINED if the row is closed now, 0 if sends are still unserved."""
    state = load(row)
    if state & 255 == RUNNING and load(row + UNSERVED) != 0:
        return 0
    while True:
        final = DONE if state & 255 == RUNNING else DRAINED
        # Pairs with the CAS of `fail`.
        found = cas(row, state, (state & -256) | final)
        if found == state:
            return final
        state = found


@kernel("nn")
def settle(row, n_units):
    """The finisher starts the settle round: `n_units` messages and its own unit, before any of them is posted."""
    store(row + PHASE, 1)
    store(row + OUTSTANDING, n_units + 1)


@kernel("n=n")
def phase(row):
    """0 running, 1 settling."""
    return load(row + PHASE)


@kernel("n=n")
def touched(row):
    """Mask of the workers that took part so far."""
    return load(row + TOUCHED)


@kernel("n=n")
def unserved(row):
    """Sends that are not served; exact only at zero units."""
    return load(row + UNSERVED)


@kernel("n=n")
def id_of(row):
    """Id of the pass that has the row."""
    return peek(row + ID)
