"""Letters: from one member to another, one at a time per pair and direction.

    sender, in its slot                receiver, in its slot
    LETTER = where, POSTED += 1   ──►  reads the letter, takes its data
    waits, if it must          ◄──     TAKEN += 1

A line per other member: POSTED and LETTER of what this member sends there, TAKEN of what it got from there.

Note [Letters]
~~~~~~~~~~~~~~
Assumes    one thread at a time sends to, or receives from, a member (the group's locks).
L1 (whole) POSTED is stored after the letter and its data; who has seen it reads both as they were written.
L2 (kept)  a sender writes its letter only when TAKEN says that the last one was read.
L3 (once)  the receiver takes a letter when POSTED is above its own TAKEN, and then stores TAKEN + 1.
"""

from nbgrad.collectives.rounds import (
    ME,
    MEET,
    MEMBERS,
    OWN,
    SEGMENT,
    SLOT,
    sched_yield,
    wake_sleepers,
)
from nbgrad.jit import fastcall, kernel
from nbgrad.jit.fastcall import from_int, restore_thread, save_thread, to_int
from nbgrad.jit.primitive import peek, poke
from nbgrad.shm.atomics import fetch_add32, load, load32, pause, store
from nbgrad.shm.futex import wait
from nbgrad.shm.waiting import PAUSES, SPIN_NS, YIELDS

LETTERS, LINE = 2048, 64  # of a slot
POSTED, LETTER, TAKEN = 0, 8, 16
FREE, COMING = range(
    2
)  # what is waited for: the last letter to a member is taken; there is one from a member
ANY = -1


@kernel("nnn=n")
def line_of(g, owner, other):
    """Address of a member's line about another."""
    return peek(g + SLOT + 8 * owner) + LETTERS + LINE * other


@kernel("n")
def clear(g):
    """Begin a group: nothing was posted or taken."""
    own = peek(g + OWN)
    for p in range(peek(g + MEMBERS)):
        poke(own + LETTERS + LINE * p + LETTER, 0)
        store(own + LETTERS + LINE * p + POSTED, 0)
        store(own + LETTERS + LINE * p + TAKEN, 0)


@kernel("nnn")
def post(g, target, letter):
    """The letter at that address is written: let the target see it."""
    line = line_of(g, peek(g + ME), target)
    poke(line + LETTER, letter - peek(g + SEGMENT))
    # Pairs with the load in `letter_from`: Note [Letters] L1.
    store(line + POSTED, peek(line + POSTED) + 1)
    wake_sleepers(g)


@kernel("nn=n")
def is_free(g, target):
    """1 if the last letter to the target was taken."""
    me = peek(g + ME)
    # Pairs with the store in `take`: Note [Letters] L2.
    taken = load(line_of(g, target, me) + TAKEN)
    return 1 if taken == peek(line_of(g, me, target) + POSTED) else 0


@kernel("nn=n")
def letter_from(g, source):
    """Address of the letter that has come from a member, or 0."""
    me = peek(g + ME)
    line = line_of(g, source, me)
    # Pairs with the store in `post`: Note [Letters] L1, L3.
    if load(line + POSTED) == peek(line_of(g, me, source) + TAKEN):
        return 0
    return peek(g + SEGMENT) + peek(line + LETTER)


@kernel("nn")
def take(g, source):
    """The letter was read: its sender may write the next one."""
    line = line_of(g, peek(g + ME), source)
    # Pairs with the load in `is_free`: Note [Letters] L2.
    store(line + TAKEN, peek(line + TAKEN) + 1)
    wake_sleepers(g)


@kernel("nnn=n")
def ready(g, what, member):
    """1 + the member for which what is waited for is there, or 0."""
    if what == FREE:
        return (1 + member) * is_free(g, member)
    if member != ANY:
        return 1 + member if letter_from(g, member) != 0 else 0
    me = peek(g + ME)
    for p in range(peek(g + MEMBERS)):
        if p != me and letter_from(g, p) != 0:
            return 1 + p
    return 0


@kernel("nnnnnn=n")
def wait_ready(g, what, member, pauses, yields, patience_ns):
    """Wait until `ready`, at most a slice."""
    for _ in range(pauses):
        found = ready(g, what, member)
        if found != 0:
            return found
        pause()
    for _ in range(yields):
        sched_yield()
        found = ready(g, what, member)
        if found != 0:
            return found
    meet = peek(g + MEET)
    fetch_add32(meet + 4, 1)
    seen = load32(meet)
    # Pairs with `wake_sleepers`: Note [Rounds] C6.
    if ready(g, what, member) == 0:
        wait(meet, seen, patience_ns)
    fetch_add32(meet + 4, -1)
    return ready(g, what, member)


@fastcall
def go(block, args, n_args):
    """go(g, what, member, patience_ns) -> what `wait_ready` returns."""
    g, what, member = from_int(peek(args)), from_int(peek(args + 8)), from_int(peek(args + 16))
    patience = from_int(peek(args + 24))
    thread = save_thread()
    spins = patience <= SPIN_NS
    result = wait_ready(g, what, member, PAUSES if spins else 1, YIELDS if spins else 0, patience)
    restore_thread(thread)
    return to_int(result)
