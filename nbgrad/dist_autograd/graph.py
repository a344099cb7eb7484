"""The whole graph of a context, from all of its workers: as data, as text, as DOT, as a picture.

What one needs to see when mode "fast" complains: sends that no backward pass has served are marked.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbgrad.autograd.anomaly import site_of
from nbgrad.autograd.node_name import class_name
from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd import picture
from nbgrad.dist_autograd.send_recv import RecvRpcBackward, SendRpcBackward
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state
from nbgrad.rpc.trust import register


@register
@dataclass(frozen=True)
class GraphNode:
    """One node: an operation, a leaf, or one end of a message."""

    worker: str
    number: int  # within its worker
    kind: str  # "op", "leaf", "send" or "recv"
    name: str
    message_id: int  # of a send or recv, else 0
    served: bool  # a send: some pass has given it its gradient
    edges: tuple  # numbers of the nodes of this worker that its gradients go to
    site: str | None = (
        None  # where an operation or a remote function was called, under `set_detect_anomaly`
    )
    peer: str = ""  # of a send or recv: the worker at the other end

    def label(self) -> str:
        """What it is, in a few words."""
        if self.kind == "recv":
            return f"{self.name} from {self.peer}"
        if self.kind == "send":
            return f"{self.name} to {self.peer}{'' if self.served else '  UNSERVED'}"
        return self.name


@dataclass(frozen=True)
class Graph:
    """The nodes of all workers; a recv's gradient goes to the send of the same message."""

    context_id: int
    nodes: tuple

    @property
    def unserved(self) -> list[GraphNode]:
        """Sends that have not got a gradient in any pass."""
        return [node for node in self.nodes if node.kind == "send" and not node.served]

    def summary(self) -> str:
        """In one line."""
        n_unserved = len(self.unserved)
        return f"context {self.context_id}: {len(self.nodes)} nodes, {n_unserved} unserved sends"

    def __str__(self) -> str:
        lines = [self.summary()]
        arrows = self.arrows()
        for worker in sorted({node.worker for node in self.nodes}):
            lines.append(f"{worker}:")
            for node in self.nodes:
                if node.worker == worker:
                    targets = [
                        f"#{k}" if node.kind != "recv" else f"{to} #{k}"
                        for to, k in arrows[worker, node.number]
                    ]
                    site = f"   ({node.site})" if node.site else ""
                    lines.append(
                        f"  #{node.number} {node.label()} -> {', '.join(targets) or '-'}{site}"
                    )
        return "\n".join(lines)

    def arrows(self) -> dict:
        """Where gradients flow: (worker, number) of each node -> those of the nodes that it gives gradients to."""
        found: dict = {
            (node.worker, node.number): [(node.worker, k) for k in node.edges]
            for node in self.nodes
        }
        sends = {node.message_id: node for node in self.nodes if node.kind == "send"}
        for node in self.nodes:
            if node.kind == "recv" and node.message_id in sends:
                send = sends[node.message_id]
                found[node.worker, node.number].append((send.worker, send.number))
        return found

    def svg(self, path: str | os.PathLike | None = None) -> str:
        """A picture of the graph, as the text of an SVG file; sends without a gradient are red.

        Parameters
        ----------
        path : str or path, optional
            A file to write it to, too.

        Raises
        ------
        ImportError
            If matplotlib is not installed (extra `plot`).
        """
        text = picture.svg(self.nodes, self.arrows(), self.summary())
        if path is not None:
            with open(path, "w") as file:
                file.write(text)
        return text

    def dot(self) -> str:
        """The graph in Graphviz's language; workers are boxes, gradients flow along the arrows."""
        shapes = {"op": "ellipse", "leaf": "box", "send": "cds", "recv": "cds"}
        lines = ["digraph context {", "  rankdir=LR;"]
        for k, worker in enumerate(sorted({node.worker for node in self.nodes})):
            lines.append(f'  subgraph cluster_{k} {{ label="{worker}";')
            for node in self.nodes:
                if node.worker == worker:
                    color = ' color="red"' if node in self.unserved else ""
                    label = node.label().replace('"', r"\"")
                    lines.append(
                        f'    "{worker}/{node.number}" [label="{label}" shape={shapes[node.kind]}{color}];'
                    )
            lines.append("  }")
        messages = {(node.worker, node.number) for node in self.nodes if node.kind == "recv"}
        for (worker, number), targets in self.arrows().items():
            look = " [style=dashed]" if (worker, number) in messages else ""
            lines += [f'  "{worker}/{number}" -> "{to}/{k}"{look};' for to, k in targets]
        return "\n".join([*lines, "}"])


def graph(context_id: int, roots: Sequence[Tensor] = ()) -> Graph:
    """The graph of a context, gathered from all workers that it has reached.

    Parameters
    ----------
    context_id : int
        What `context()` gave.
    roots : sequence of Tensor
        Results on this worker, as those of a backward pass: what leads to them is shown, too.  Without them the graph
        begins and ends with messages.

    Returns
    -------
    Graph
        Prints as text; `dot()` and `svg()` draw it.  Sends that have not got a gradient in any pass, as those that mode
        "fast" complains of, are marked.

    Raises
    ------
    ContextError
        If this worker has no part of the context.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad import dist_autograd, rpc
    >>> rpc.init_rpc("worker0", rank=0, world_size=1)
    >>> x = nb.ones(2, requires_grad=True)
    >>> with dist_autograd.context() as context_id:
    ...     y = rpc.rpc_sync("worker0", nb.mul, args=(x, x))
    ...     found = dist_autograd.graph(context_id)
    >>> sorted(node.name for node in found.unserved)
    ['send mul', 'send the result of mul']
    >>> rpc.shutdown()
    """
    agent = state.agent()
    agent.contexts.find(context_id)
    nodes: list = []
    seen: set = set()
    todo = {agent.rank}
    while todo:
        rank = todo.pop()
        seen.add(rank)
        if rank == agent.rank:
            found, known = part_of_graph(context_id, roots)
        else:
            found, known = rpc_api.rpc_sync(rank, part_of_graph, args=(context_id,))
        nodes += found
        todo |= set(known) - seen
    return Graph(context_id, tuple(sorted(nodes, key=lambda node: (node.worker, node.number))))


@register
def part_of_graph(context_id: int, roots: Sequence[Tensor] = ()) -> tuple:
    """This worker's nodes, and the ranks that its messages went to."""
    agent = state.agent()
    context = agent.contexts.table.get(context_id)
    if context is None:
        return [], []
    context.merge_done()
    numbers: dict = {}
    order: list = []
    stack: list[Any] = [root.node or root for root in roots]
    stack += [*context.sends.values(), *context.recvs.values()]
    while stack:
        node = stack.pop()
        if node in numbers:
            continue
        numbers[node] = len(numbers)
        order.append(node)
        if not isinstance(node, Tensor):
            stack += [edge[0] for edge in node.edges if edge is not None]
    names = agent.session.names
    found = [describe(node, names[agent.rank], numbers, context, names) for node in order]
    return found, sorted(context.known)


def describe(node: Any, worker: str, numbers: dict, context: Any, names: list) -> GraphNode:
    number = numbers[node]
    if isinstance(node, Tensor):
        return GraphNode(worker, number, "leaf", f"leaf {tuple(node.shape)}", 0, False, ())
    edges = tuple(numbers[edge[0]] for edge in node.edges if edge is not None)
    if type(node) is SendRpcBackward:
        what = getattr(node.what, "__qualname__", None) or str(node.what)
        served, ends = node.message_id in context.served, (edges, site_of(node), names[node.target])
        return GraphNode(worker, number, "send", f"send {what}", node.message_id, served, *ends)
    if type(node) is RecvRpcBackward:
        ends = (), None, names[node.source]
        return GraphNode(worker, number, "recv", "recv", node.message_id, False, *ends)
    return GraphNode(worker, number, "op", class_name(node.name), 0, False, edges, site_of(node))
