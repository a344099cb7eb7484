"""The walk of a first contact: every node below some starts once, and the edges into each target counted.

    starts   nodes where gradients come in          table   target -> [edges into it, None]

It takes its time for each call of a context, on both of its workers, before the first gradient can go on: a third of the
pass over a chain of 64 calls.  So there are two forms of it.  `walk` says what is done, and simulators run it;
`native_walk` does the same in one native call, in a tenth of the time, and passes use it.
"""

from typing import Any

from nbgrad.autograd.function import pull_back
from nbgrad.autograd.node import Node
from nbgrad.autograd.tensor import Tensor
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
    slot_offset,
    to_int,
)
from nbgrad.jit.primitive import external, peek, poke


def walk(starts: list, table: dict) -> int:
    """Fill the table of a pass; 1 if hooks or backward functions written in Python are among what was seen, else 0.

    Parameters
    ----------
    starts : list of Node
        Where gradients come in, each once; gets the other nodes.
    table : dict
        Gets target -> `entry`, with the edges into it counted.  A start that another one leads to must be in it.
    """
    has_user_code = 0
    node: Any
    for node in starts:  # it grows meanwhile
        if node.hooks is not None or node.vjp is pull_back:
            has_user_code = 1
        for edge in node.edges:
            if edge is None:
                continue
            target = edge[0]
            found = table.get(target)
            if found is not None:  # then it has been walked, or will be
                found[0] += 1
            elif isinstance(target, Tensor):
                table[target] = [1, None]
                if target.hooks:
                    has_user_code = 1
            else:
                n = target.n_outputs
                table[target] = [1, None if n == 1 else [None] * n]
                starts.append(target)
    return has_user_code


def entry(node: Any) -> list:
    """What the table of a pass holds for a node: edges that have not delivered, and what has come so far.

    That is one sum, or a list with one per output.
    """
    return [0, None if node.n_outputs == 1 else [None] * node.n_outputs]


# ---------------------------------------------------------------- the same, native

set_item = external("PyDict_SetItem", 3)
is_subtype = external("PyType_IsSubtype", 2)

# words of the block
NONE, PULL_BACK, TUPLE, TENSOR, NODE, HOOKS, VJP, EDGES, N_OUTPUTS, LEAF_HOOKS = range(0, 80, 8)


@fastcall
def native_walk(block, args, n_args):
    """native_walk(starts, table) -> 0 or 1, as `walk`."""
    starts, table = peek(args), peek(args + 8)
    none, has_user_code, at = peek(block + NONE), 0, 0
    while at < peek(starts + SIZE):
        node = peek(peek(starts + LIST_ITEMS) + 8 * at)
        at += 1
        if peek(node + peek(block + HOOKS)) != none or peek(node + peek(block + VJP)) == peek(
            block + PULL_BACK
        ):
            has_user_code = 1
        edges = peek(node + peek(block + EDGES))
        if peek(edges + TYPE) != peek(block + TUPLE):
            return bad_argument() & 0
        for k in range(peek(edges + SIZE)):
            edge = peek(edges + TUPLE_ITEMS + 8 * k)
            if edge == none:
                continue
            if peek(edge + TYPE) != peek(block + TUPLE):
                return bad_argument() & 0
            target = peek(edge + TUPLE_ITEMS)
            found = get_item(table, target)
            if found != 0:
                items = peek(found + LIST_ITEMS)
                count = peek(items)
                poke(items, to_int(from_int(count) + 1))
                dec_ref(count)
                continue
            is_leaf = is_subtype(peek(target + TYPE), peek(block + TENSOR)) & INT
            n = 1
            if is_leaf != 0:
                hooks = peek(target + peek(block + LEAF_HOOKS))
                if hooks != 0 and hooks != none and peek(hooks + SIZE) > 0:
                    has_user_code = 1
            elif is_subtype(peek(target + TYPE), peek(block + NODE)) & INT != 0:
                n = from_int(peek(target + peek(block + N_OUTPUTS)))
                if append(starts, target) & INT != 0:
                    return 0
            else:
                return bad_argument() & 0
            found = new_list(2)
            if found == 0:
                return 0
            items, sums = peek(found + LIST_ITEMS), none
            if n == 1:
                inc_ref(none)
            else:
                sums = new_list(n)
                for m in range(n):
                    inc_ref(none)
                    poke(peek(sums + LIST_ITEMS) + 8 * m, none)
            poke(items, to_int(1))
            poke(items + 8, sums)
            status = set_item(table, target, found) & INT
            dec_ref(found)
            if status != 0:
                return 0
    return to_int(has_user_code)


def ready_walk() -> Any:
    """The builtin of `native_walk`."""
    return native_walk.bind([
        None, pull_back, tuple, Tensor, Node, slot_offset(Node, "hooks"), slot_offset(Node, "vjp"),
        slot_offset(Node, "edges"), slot_offset(Node, "n_outputs"), slot_offset(Tensor, "hooks"),
    ])  # fmt: skip
