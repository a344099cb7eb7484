"""The walk of a first contact: every node below some starts once, and the edges into each target counted."""

from typing import Any

from nbgrad.autograd.function import pull_back
from nbgrad.autograd.tensor import Tensor


def walk(starts: list, table: dict, seen: set) -> bool:
    """Fill the table of a pass; whether hooks or backward functions written in Python are among what was seen.

    Parameters
    ----------
    starts : list of Node
        Where gradients come in; used up.
    table : dict
        Gets target -> [edges into it, None], a list of None per output instead for a node of several outputs.
    seen : set
        Gets the nodes.
    """
    for start in starts:
        seen.add(start)
        if start not in table and start.n_outputs != 1:
            table[start] = [0, [None] * start.n_outputs]
    has_user_code = False
    while starts:
        node: Any = starts.pop()
        if node.hooks is not None or node.vjp is pull_back:
            has_user_code = True
        for edge in node.edges:
            if edge is None:
                continue
            target = edge[0]
            entry = table.get(target)
            if entry is not None:  # then it has been seen, too
                entry[0] += 1
            elif isinstance(target, Tensor):
                table[target] = [1, None]
                if target.hooks:
                    has_user_code = True
            else:
                n = target.n_outputs
                table[target] = [1, None if n == 1 else [None] * n]
                if target not in seen:  # (a start, else)
                    seen.add(target)
                    starts.append(target)
    return has_user_code
