"""Delivery: what a node, or a message, has for the targets of its edges goes into the table of the pass.

    edges    (target, idx), ...       given   gradients          table   target -> [edges that have not delivered, sum]

This happens once for each node and each message of a pass, so there are two forms of it, as of `walk`: `deliver` says what is
done, and simulators run it; `native_deliver` does the same in one native call, and passes use it.
"""

from collections.abc import Sequence
from typing import Any

from nbgrad.jit import fastcall
from nbgrad.jit.fastcall import (
    INT,
    LIST_ITEMS,
    SIZE,
    TUPLE_ITEMS,
    TYPE,
    append,
    bad_argument,
    dec_ref,
    from_int,
    get_item,
    inc_ref,
    new_list,
    new_tuple,
    to_int,
)
from nbgrad.jit.primitive import peek, poke

ONE_EACH = -1  # as a mask: there is one gradient, or None, for each edge
MOST = 62  # bits of a mask that the native form takes


def deliver(edges: tuple, given: Sequence, mask: int, table: dict, ready: list) -> list | None:
    """Each edge has delivered its gradient, or nothing.

    Parameters
    ----------
    edges : tuple
        (target, idx), or None where there is no target.
    given : tuple
        The gradients of the edges whose bit is set in `mask`; with ONE_EACH, one or None for each edge.
    table : dict
        Target -> [edges that have not delivered, sum so far, or a list of sums].
    ready : list
        Gets the targets for which nothing more comes.

    Returns
    -------
    list or None
        (edge, entry of the table, gradient) where something had come already: these gradients are still to be added.
    """
    more: list | None = None
    left = iter(given)
    for edge in edges:
        g = next(left, None) if mask & 1 else None
        mask >>= 1
        if edge is None:
            continue
        target, idx = edge
        found = table[target]
        if g is not None:
            total = found[1]
            if total is None:
                found[1] = g
            elif total.__class__ is list and total[idx] is None:
                total[idx] = g
            else:
                more = more or []
                more.append((edge, found, g))
        found[0] -= 1
        if not found[0]:
            ready.append(target)
    return more


# ---------------------------------------------------------------- the same, native


@fastcall
def native_deliver(block, args, n_args):
    """native_deliver(edges, given, mask, table, ready) -> list or None, as `deliver`; a mask has at most MOST bits."""
    edges, given, mask = peek(args), peek(args + 8), from_int(peek(args + 16))
    table, ready = peek(args + 24), peek(args + 32)
    none, tuple_type, list_type = peek(block), peek(block + 8), peek(block + 16)
    if peek(edges + TYPE) != tuple_type or peek(given + TYPE) != tuple_type:
        return bad_argument() & 0
    more, n_taken = 0, 0
    for k in range(peek(edges + SIZE)):
        g = none
        if mask & 1 != 0 and n_taken < peek(given + SIZE):
            g = peek(given + TUPLE_ITEMS + 8 * n_taken)
            n_taken += 1
        mask >>= 1
        edge = peek(edges + TUPLE_ITEMS + 8 * k)
        if edge == none:
            continue
        if peek(edge + TYPE) != tuple_type or peek(edge + SIZE) != 2:
            return bad_argument() & 0
        target = peek(edge + TUPLE_ITEMS)
        found = get_item(table, target)
        if found == 0:
            return bad_argument() & 0
        items = peek(found + LIST_ITEMS)
        if g != none:
            place, total = items + 8, peek(items + 8)
            if peek(total + TYPE) == list_type:
                idx = from_int(peek(edge + TUPLE_ITEMS + 8))
                if idx < 0 or idx >= peek(total + SIZE):
                    return bad_argument() & 0
                place = peek(total + LIST_ITEMS) + 8 * idx
            if peek(place) == none:
                inc_ref(g)
                poke(place, g)
                dec_ref(none)
            else:
                if more == 0:
                    more = new_list(0)
                one = new_tuple(3)
                for part, thing in ((0, edge), (8, found), (16, g)):
                    inc_ref(thing)
                    poke(one + TUPLE_ITEMS + part, thing)
                status = append(more, one) & INT
                dec_ref(one)
                if status != 0:
                    return 0
        count = peek(items)
        n_left = from_int(count) - 1
        poke(items, to_int(n_left))
        dec_ref(count)
        if n_left == 0 and append(ready, target) & INT != 0:
            return 0
    if more == 0:
        inc_ref(none)
        return none
    return more


def ready_deliver() -> Any:
    """The builtin of `native_deliver`."""
    return native_deliver.bind([None, tuple, list])
