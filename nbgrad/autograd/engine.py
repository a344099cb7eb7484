"""The backward pass of one process.

    1  reach   from the roots along the edges; every node once
    2  sort    by sequence number, newest first: each node comes after all that use its result
    3  sweep   run each node's VJP on the sum of what arrived; add what it returns to its targets
    4  store   sums that reached leaves go into their `.grad`

This is the common pass: over arrays, into leaves.  `nbgrad.autograd.sweep` has the general one, for chosen inputs and for
gradients that have gradients.  A distributed pass does not run here either: it interleaves with others on its worker and
counts dependencies in a table of its own, see `nbgrad.dist_autograd`.
"""

import time
from operator import attrgetter
from typing import Any

import numpy as np

from nbgrad.autograd.anomaly import Trace, described, refuse_nan
from nbgrad.autograd.buffers import is_sole
from nbgrad.autograd.early import Early, begin, run_at_end
from nbgrad.autograd.grad_buffer import accumulate, add_into, added
from nbgrad.autograd.hooks import run_post, run_pre
from nbgrad.autograd.leaf_hooks import run_leaf, run_leaf_post, run_stored
from nbgrad.autograd.node import Node
from nbgrad.autograd.node_name import class_name
from nbgrad.autograd.sparse import copied, densified
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import check_order
from nbgrad.autograd.watch import Watch

by_seq = attrgetter("seq")
ndarray = np.ndarray
ONLY_STORED = {"early", "stored"}  # hooks that do not see the sum: those of data parallel training

# Note [Owned sums]
# ~~~~~~~~~~~~~~~~~
# A VJP may return one array twice, its own argument, or a view of it.  So the first cotangent that arrives at a
# target is only kept; the second is added to it in a NEW buffer, which this pass owns; later ones are added into
# that buffer in place.  A sparse sum is a new object each time.
# G1 (exact)  no array is written that a VJP, a residual or a user can see.
# G2 (order)  sums are formed in the order of the sweep, which depends on the graph alone, so the same program gives
#             bit-identical gradients in every process.


def reach(roots: list[Tensor], sums: dict) -> list[Node]:
    """All nodes below the roots, newest first; gives nodes of many outputs their slots in `sums`."""
    order: list[Node] = []
    seen: set = set()
    for root in roots:
        node = root.node
        if node is not None and node not in seen:
            seen.add(node)
            order.append(node)
    for node in order:  # grows while it is read
        if node.n_outputs != 1:
            sums[node] = [None] * node.n_outputs
        for edge in node.edges:
            if edge is not None:
                target = edge[0]
                if target not in seen:
                    seen.add(target)
                    if isinstance(target, Node):
                        order.append(target)
    order.sort(key=by_seq, reverse=True)
    return order


def run(roots: list[Tensor], seeds: list[np.ndarray], retain_graph: bool) -> None:
    """One pass: Note [Owned sums]."""
    sums: dict = {}  # target -> cotangent, or list of them for a node of many outputs
    owned: set = set()  # targets (or (node, idx)) whose sum is in a buffer of this pass
    g: Any
    cotangent: Any
    cotangents: Any
    record, start_ns, checks = Watch.record, 0, Trace.checks
    begin_ns = time.perf_counter_ns() if record is not None else 0
    order = reach(roots, sums)
    check_order(order)
    early = begin(order) if Early.is_wanted else None
    for root, g in zip(roots, seeds):
        add(sums, owned, root.node or root, root.idx, g)
    seeds.clear()
    for node in order:
        g = sums.pop(node, None)
        if g is None or (g.__class__ is list and not any(part is not None for part in g)):
            continue  # reached, but every path to it ended in None
        if node.hooks is not None:
            g = run_pre(node, g)
        if record is not None:
            start_ns = time.perf_counter_ns()
        try:
            cotangents = node.vjp(node.residuals, g)
        except Exception as error:
            g = densified(g)
            if g is None:
                error.add_note(f"(in the VJP of {described(node)}, during a backward pass)")
                raise
            cotangents = node.vjp(node.residuals, g)  # it does not take sparse ones
        if record is not None:
            record("backward", class_name(node.name), start_ns)
        if checks:
            refuse_nan(node, cotangents)
        if node.hooks is not None:
            cotangents = run_post(node, cotangents, g)
        if not retain_graph and node.residuals is not None:
            node.release()
        for edge, cotangent in zip(node.edges, cotangents):
            if edge is not None and cotangent is not None:
                target, idx = edge
                total = sums.get(target)
                if total is None:
                    sums[target] = cotangent
                elif total.__class__ is list:
                    add(sums, owned, target, idx, cotangent)
                elif target in owned:
                    add_into(cotangent, total)
                else:
                    sums[target] = total = added(total, cotangent)
                    if total.__class__ is ndarray:  # a sparse one is never added into
                        owned.add(target)
        if early is not None and node in early:
            g = cotangent = cotangents = total = None
            for leaf in early[node]:
                if leaf in sums:  # Note [Early leaves] E1
                    deliver(sums, owned, leaf)
    g = cotangent = cotangents = total = None  # is_sole counts references
    while sums:
        deliver(sums, owned, next(reversed(sums)))
    if early is not None:
        run_at_end()
    if record is not None:
        record("pass", "backward", begin_ns)


def deliver(sums: dict, owned: set, leaf: Tensor) -> None:
    """The sum of a leaf is whole: run its hooks, store it."""
    g = sums.pop(leaf)
    hooks = leaf.hooks
    if hooks and hooks.keys() != ONLY_STORED:
        owned.discard(leaf)  # a hook may keep the sum, or give one that it keeps
        g = run_leaf(leaf, g)
        shown = hooks.get("post")
        store(leaf, g if is_sole(g, 1) and not shown else copied(g))
        run_leaf_post(leaf, g)
        run_stored(leaf)
    else:
        store(leaf, g if leaf in owned or is_sole(g, 1) else copied(g))
        if hooks:
            run_stored(leaf)


def add(sums: dict, owned: set, target: Any, idx: int, cotangent: np.ndarray) -> None:
    """Add a cotangent to a target of any kind."""
    total = sums.get(target)
    if isinstance(total, list):
        key = (target, idx)
        if total[idx] is None:
            total[idx] = cotangent
        elif key in owned:
            add_into(cotangent, total[idx])
        else:
            total[idx] = added(total[idx], cotangent)
            if total[idx].__class__ is ndarray:
                owned.add(key)
    elif total is None:
        sums[target] = cotangent
    elif target in owned:
        add_into(cotangent, total)
    else:
        sums[target] = added(total, cotangent)
        if sums[target].__class__ is ndarray:
            owned.add(target)


def store(leaf: Tensor, g: np.ndarray) -> None:
    """Add the sum of a pass, in memory that nobody else sees, to the leaf's gradient."""
    if leaf.grad is None:
        leaf.grad = Tensor(g)
    else:
        accumulate(leaf.grad, g)  # as in PyTorch, p.grad stays the same object
