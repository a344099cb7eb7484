"""The second form of a VJP: written over tensors, so that gradients have gradients.

    @exp.vjp                          @exp.double("y")
    def exp(residuals, g):            def exp(residuals, g):
        (y,) = residuals                  (y,) = residuals
        return (multiply(g, y),)          return (g * y,)

The first form runs in every backward pass, over arrays.  The second runs only under `create_graph=True`: the engine then
gives it a tensor `g`, and `live` gives it the residuals as tensors that hang on the graph where the saved arrays came from.
The words of the decorator say what each residual is: 0, 1, ... the value of that input, `y` the result (y0, y1, ... of
several), `.` what carries no gradient; words at the end may be left out.  So saving costs nothing: a residual stays a plain
array, and becomes a tensor when somebody asks for a second derivative.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.anomaly import described
from nbgrad.autograd.node import Node
from nbgrad.autograd.sparse import densified
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.versions import Latest
from nbgrad.errors import GraphError

Edge = tuple[Any, int] | None


def linked(array: np.ndarray, node: Node, number: int) -> Tensor:
    """The saved value of an input of a node, as a tensor: differentiating by it continues along the edge."""
    edge: Edge = node.edges[number]
    if edge is None:
        return Tensor(array)
    target, idx = edge
    if isinstance(target, Node):
        if target.seq > Latest.rebase:
            return Tensor(array, True, target, idx)
    elif target.array is array:
        return target
    # A copy of the leaf, or a leaf with other values since, or a result that may have been written in place since: what
    # was saved is older than that.
    alias = Node(unchanged, None, (edge,), "saved")
    alias.seq = node.seq
    return Tensor(array, True, alias)


def unchanged(residuals: Any, g: Any) -> tuple:
    return (g,)


def live(node: Node, words: tuple[str, ...], residuals: Any) -> Any:
    """The residuals, with tensors in place of the arrays that are inputs or results of the node."""
    if residuals is None:
        return None
    found = list(residuals)
    for k, word in enumerate(words[: len(found)]):
        array = found[k]
        if type(array) is not np.ndarray:
            continue
        if word[0] == "y":
            found[k] = Tensor(array, True, node, int(word[1:] or 0))
        elif word != ".":
            found[k] = linked(array, node, int(word))
    return tuple(found)


def give_double(vjp: Callable, words: str, form: Callable) -> None:
    """Register the second form of a VJP."""
    names = tuple(words.split())

    def over_tensors(node: Node, g: Any) -> Any:
        return form(live(node, names, node.residuals), g)

    vjp.over_tensors = over_tensors  # type: ignore[attr-defined]


def has_double(vjp: Callable) -> bool:
    """Whether a VJP has a second form."""
    return hasattr(vjp, "over_tensors")


def pull_arrays(node: Node, g: Any) -> Any:
    """Run a node's VJP on arrays; once more with dense ones if it does not take sparse ones."""
    try:
        return node.vjp(node.residuals, g)
    except Exception as error:
        g = densified(g)
        if g is None:
            error.add_note(f"(in the VJP of {described(node)}, during a backward pass)")
            raise
        return node.vjp(node.residuals, g)


def pull_tensors(node: Node, g: Any) -> Any:
    """Run the second form of a node's VJP; where there is none the result can't be differentiated further.

    Parameters
    ----------
    node : Node
        Whose results have cotangents.
    g : Tensor, or list of (Tensor or None)
        The cotangents; a list for a node of several results.

    Returns
    -------
    sequence of (Tensor or None)
        One per edge of the node.
    """
    form = getattr(node.vjp, "over_tensors", None)
    if form is None:
        return once(node, g)
    try:
        return form(node, g)
    except Exception as error:
        error.add_note(
            f"(in the VJP of {described(node)}, during a backward pass with create_graph)"
        )
        raise


def once(node: Node, g: Any) -> list[Tensor | None]:
    """A first derivative that hangs on the graph, so that a second derivative raises and is not silently wrong."""
    parts = g if isinstance(g, list) else [g]
    arrays = [None if part is None else part.array for part in parts]
    cotangents = pull_arrays(node, arrays if isinstance(g, list) else arrays[0])
    given = [
        (part.node or part, part.idx) for part in parts if part is not None and part.requires_grad
    ]
    edges = (*given, *[edge for edge in node.edges if edge is not None])
    wall = Node(refused, (node.name,), edges, node.name)
    return [None if part is None else Tensor(part, True, wall) for part in cotangents]


def refused(residuals: Any, g: Any) -> tuple:
    (name,) = residuals
    raise GraphError(
        f"the gradient of op {name!r} can be differentiated once only: trying to differentiate twice a function that has no "
        f"double-backward form. Register one with @{name}.double, or write the operation with others that have one"
    )
