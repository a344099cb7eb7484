"""The backward pass in its general form: for chosen inputs, over arrays or over tensors.

    1  reach   from the roots along the edges, newest first, as in `nbgrad.autograd.engine`
    2  prune   nodes from which no chosen input is reached, if inputs were chosen
    3  sweep   run each node's VJP on the sum of what arrived; keep what arrived at chosen inputs

Cotangents are arrays, or, where the pass creates a graph, tensors that remember how they were computed: then each node runs
the second form of its VJP (`nbgrad.autograd.double`) with recording on.
"""

import operator
import time
from typing import Any

from nbgrad.autograd.anomaly import Trace, refuse_nan
from nbgrad.autograd.double import pull_arrays, pull_tensors
from nbgrad.autograd.engine import reach
from nbgrad.autograd.grad_buffer import added
from nbgrad.autograd.grad_mode import set_enabled
from nbgrad.autograd.hooks import post_tensors, pre_tensors, run_post, run_pre
from nbgrad.autograd.leaf_hooks import leaf_tensor, run_leaf
from nbgrad.autograd.node import Node
from nbgrad.autograd.node_name import class_name
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import Latest, check_node
from nbgrad.autograd.watch import Watch

Key = tuple[Any, int]  # (node, number of the result), or (leaf, 0)


class Arrays:
    """Cotangents are arrays."""

    add = staticmethod(added)
    pull = staticmethod(pull_arrays)
    pre = staticmethod(run_pre)
    post = staticmethod(run_post)
    leaf = staticmethod(run_leaf)


class Tensors:
    """Cotangents are tensors."""

    add = staticmethod(operator.add)
    pull = staticmethod(pull_tensors)
    leaf = staticmethod(leaf_tensor)

    @staticmethod
    def pre(node: Node, g: Any) -> Any:
        return pre_tensors(node, g) if isinstance(g, list) else pre_tensors(node, [g])[0]

    @staticmethod
    def post(node: Node, cotangents: Any, g: Any) -> Any:
        return post_tensors(node, cotangents, g if isinstance(g, list) else [g])


def key_of(tensor: Tensor) -> Key:
    """Where the cotangents of a tensor arrive."""
    return tensor.node or tensor, tensor.idx


def above(order: list[Node], wanted: set[Key]) -> set[Node]:
    """The nodes from whose results a wanted tensor is reached."""
    found: set[Node] = set()
    for node in reversed(order):  # oldest first: inputs are known before results
        if any(edge is not None and (edge in wanted or edge[0] in found) for edge in node.edges):
            found.add(node)
    return found


def sweep(
    roots: list[Tensor],
    seeds: list[Any],
    retain_graph: bool,
    create_graph: bool,
    inputs: list[Tensor] | None,
) -> dict[Key, Any]:
    """One pass.

    Parameters
    ----------
    roots, seeds : list
        Where to start, with one cotangent each: arrays, or tensors if `create_graph`.
    retain_graph : bool
        Keep what the operations saved.
    create_graph : bool
        Compute with tensors, recorded.
    inputs : list of Tensor, optional
        The tensors whose gradients are wanted, results among them; all leaves by default.

    Returns
    -------
    dict
        The sums that arrived, by `key_of` the tensor; a wanted tensor that nothing reached is missing.
    """
    before, record = set_enabled(create_graph), Watch.record
    start_ns = time.perf_counter_ns() if record is not None else 0
    try:
        found = run(roots, seeds, retain_graph, Tensors if create_graph else Arrays, inputs)
    finally:
        set_enabled(before)
    if record is not None:
        record("pass", "backward", start_ns)
    return found


def run(roots: Any, seeds: Any, retain_graph: bool, kind: Any, inputs: Any) -> dict[Key, Any]:
    order = reach(roots, {})
    wanted = None if inputs is None else {key_of(tensor) for tensor in inputs}
    record, start_ns = Watch.record, 0
    to_run = set(order) if wanted is None else above(order, wanted)
    sums: dict[Key, Any] = {}
    found: dict[Key, Any] = {}

    def add(key: Key, g: Any) -> None:
        if wanted is None or key in wanted or key[0] in to_run:
            sums[key] = g if key not in sums else kind.add(sums[key], g)

    for root, g in zip(roots, seeds):
        add(key_of(root), g)
    for node in order:
        keys = [(node, idx) for idx in range(node.n_outputs)]
        parts = [sums.pop(key, None) for key in keys]
        if not any(part is not None for part in parts):
            continue
        g = parts if node.n_outputs != 1 else parts[0]
        if node.hooks is not None:
            g = kind.pre(node, g)
        if wanted is not None:
            for key, part in zip(keys, g if node.n_outputs != 1 else [g]):
                if key in wanted and part is not None:
                    found[key] = part
        if node not in to_run:
            continue
        if record is not None:
            start_ns = time.perf_counter_ns()
        if node.seq < Latest.seq:
            check_node(node)
        cotangents = kind.pull(node, g)
        if record is not None:
            record("backward", class_name(node.name), start_ns)
        if Trace.checks:
            refuse_nan(node, cotangents)
        if node.hooks is not None:
            cotangents = kind.post(node, cotangents, g)
        if not retain_graph and node.residuals is not None:
            node.release()
        for edge, cotangent in zip(node.edges, cotangents):
            if edge is not None and cotangent is not None:
                add(edge, cotangent)
    for key, g in sums.items():  # what is left has arrived at leaves
        found[key] = kind.leaf(key[0], g)
    return found
