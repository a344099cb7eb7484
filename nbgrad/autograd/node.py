"""A node of the recorded graph: one operation that ran forward and can be pulled back.

    result = op(a, b)        result.node ── node ──edges──┬── (a.node, a.idx)   a was computed
                                                          └── (b, 0)            b is a leaf: the tensor itself

Edges point from results to inputs, one entry per differentiable input: None where the input needs no
gradient, else (target, idx).  The target is the node that produced the input, or the leaf tensor
itself, so there is no cycle and a graph is freed by counting references alone.

Cotangents are plain arrays.  One that a VJP returned may alias another (the VJP of an addition
returns its argument twice): nobody writes in place into a cotangent that it does not own alone.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.accumulate_grad import AccumulateGrad
from nbgrad.autograd.node_name import class_name
from nbgrad.errors import GraphError

next_seq = itertools.count().__next__  # one number per node of this process, in order of recording


class Node:
    """One recorded operation.  Compared and hashed by identity.

    Parameters
    ----------
    vjp : callable
        `vjp(residuals, g)` returns one cotangent (ndarray or None) per entry of `edges`.  `g` is an
        ndarray if the node has one output, else a list with one ndarray or None per output.
    residuals : tuple or None
        What the VJP needs from the forward.
    edges : tuple
        Per differentiable input None or (target, idx).
    name : str
        Of the operation, for messages.
    n_outputs : int
        Number of results.

    Attributes
    ----------
    seq : int
        Grows in the order of recording, so inputs have smaller numbers than results.
    hooks : dict or None
        Hooks on the results, see `nbgrad.autograd.hooks`.
    site : str
        Where the operation was called, set only under `set_detect_anomaly`.
    """

    __slots__ = ("edges", "hooks", "n_outputs", "name", "residuals", "seq", "site", "vjp")
    site: str  # set only under set_detect_anomaly

    def __init__(
        self,
        vjp: Callable[[Any, Any], tuple],
        residuals: Any,
        edges: tuple,
        name: str,
        n_outputs: int = 1,
    ) -> None:
        self.vjp = vjp
        self.residuals = residuals
        self.edges = edges
        self.name = name
        self.n_outputs = n_outputs
        self.seq = next_seq()
        self.hooks: dict | None = None

    def saved(self) -> list:
        """The arrays that the VJP will read, among other things."""
        found: list = []
        for part in self.residuals or ():
            if type(part) is tuple or type(part) is list:
                found.extend(part)
            else:
                found.append(part)
        return found

    def release(self) -> None:
        """Drop the saved arrays, and with them the right to run again; edges stay.

        Residuals without an array (a shape, say) cost nothing and are kept, so such a node may run twice.
        """
        residuals = self.residuals
        if residuals is not None:
            for saved in residuals:
                if type(saved) is np.ndarray:
                    self.drop()
                    break

    def drop(self) -> None:
        """Drop the residuals; running the VJP after this raises."""
        self.residuals = (self.name,)
        self.vjp = vjp_of_released

    @property
    def next_functions(self) -> tuple:
        """The edges as PyTorch shows them: (node or AccumulateGrad of a leaf, idx), (None, 0) where there is none."""
        return tuple([
            (None, 0) if edge is None
            else edge if isinstance(edge[0], Node)
            else (AccumulateGrad(edge[0]), 0)
            for edge in self.edges
        ])  # fmt: skip

    def __repr__(self) -> str:
        return f"<{class_name(self.name)}>"


def vjp_of_released(residuals: Any, g: Any) -> tuple:
    (name,) = residuals
    raise GraphError(
        f"Trying to backward through the graph a second time: the arrays that {name!r} saved for its VJP were freed "
        f"by the first backward pass. Give that first pass retain_graph=True, or compute the result again"
    )
