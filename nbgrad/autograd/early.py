"""Early gradients: leaves whose `.grad` is stored as soon as it is whole, while the pass goes on to others.

Data parallel training begins to sum what is there.  Other leaves are stored at the end of the pass, which is cheaper.

Note [Early leaves]
~~~~~~~~~~~~~~~~~~~
E1 (whole)  nodes run in the order of the sweep, so the gradient of a leaf is whole when the last node with an edge to it has
            run; a node that nothing reached runs not at all, and leaves that wait for it are stored at the end.
E2 (end)    functions given to `at_end` run once in the thread of the pass, when all leaves are stored; a pass that fails runs
            none of them.
"""

import threading
from collections.abc import Callable
from typing import Any

from nbgrad.autograd.hooks import RemovableHandle
from nbgrad.autograd.leaf_hooks import register
from nbgrad.autograd.node import Node
from nbgrad.autograd.tensor import Tensor


class Passes(threading.local):
    """What the pass of this thread has been told to run at its end."""

    def __init__(self) -> None:
        self.at_end: list[Callable[[], Any]] = []


passes = Passes()


class Early:
    """Whether any leaf was ever registered: passes look for them only then."""

    is_wanted = False


def register_ready(leaf: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call `hook(leaf)` as soon as a pass of this process has added all of its sum to the leaf's `.grad`."""
    handle = register(leaf, "stored", hook)
    leaf.hooks["early"] = {}  # type: ignore[index]
    Early.is_wanted = True
    return handle


def at_end(function: Callable[[], Any]) -> None:
    """Call the function when the pass that runs in this thread is over."""
    passes.at_end.append(function)


def begin(order: list[Node]) -> dict[Node, list[Tensor]]:
    """A pass over these nodes begins: the early leaves by the last node that adds to them."""
    passes.at_end.clear()  # of a pass that failed
    last: dict[Tensor, Node] = {}
    for node in order:
        for edge in node.edges:
            if edge is not None:
                leaf = edge[0]
                if not isinstance(leaf, Node) and leaf.hooks and "early" in leaf.hooks:
                    last[leaf] = node
    found: dict[Node, list[Tensor]] = {}
    for leaf, node in last.items():
        found.setdefault(node, []).append(leaf)
    return found


def run_at_end() -> None:
    """The pass is over: Note [Early leaves] E2."""
    functions = passes.at_end[:]
    passes.at_end.clear()
    for function in functions:
        function()
