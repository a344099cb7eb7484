"""The whole graph of a context, from all of its workers: as data, as text, as DOT.

What one needs to see when mode "fast" complains: sends that no backward pass has served are marked.
"""

from dataclasses import dataclass
from typing import Any

from nbgrad.autograd.anomaly import site_of
from nbgrad.autograd.node import class_name
from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd.send_recv import RecvRpcBackward, SendRpcBackward
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state


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
    site: str | None = None

    def label(self) -> str:
        """What it is, in a few words."""
        mark = "" if self.kind != "send" or self.served else "  UNSERVED"
        return f"{self.name}{mark}"


@dataclass(frozen=True)
class Graph:
    """The nodes of all workers; a recv's gradient goes to the send of the same message."""

    context_id: int
    nodes: tuple

    @property
    def unserved(self) -> list[GraphNode]:
        """Sends that have not got a gradient in any pass."""
        return [node for node in self.nodes if node.kind == "send" and not node.served]

    def __str__(self) -> str:
        lines = [
            f"context {self.context_id}: {len(self.nodes)} nodes, {len(self.unserved)} unserved sends"
        ]
        for worker in sorted({node.worker for node in self.nodes}):
            lines.append(f"{worker}:")
            for node in self.nodes:
                if node.worker == worker:
                    to = ", ".join(f"#{k}" for k in node.edges) or "-"
                    lines.append(
                        f"  #{node.number} {node.label()} -> {to}"
                        + (f"   ({node.site})" if node.site else "")
                    )
        return "\n".join(lines)

    def dot(self) -> str:
        """The graph in Graphviz's language; workers are boxes, gradients flow along the arrows."""
        shapes = {"op": "ellipse", "leaf": "box", "send": "cds", "recv": "cds"}
        lines = ["digraph context {", "  rankdir=LR;"]
        for k, worker in enumerate(sorted({node.worker for node in self.nodes})):
            lines.append(f'  subgraph cluster_{k} {{ label="{worker}";')
            for node in self.nodes:
                if node.worker == worker:
                    color = ' color="red"' if node in self.unserved else ""
                    lines.append(
                        f'    "{worker}/{node.number}" [label="{node.label()}" shape={shapes[node.kind]}{color}];'
                    )
            lines.append("  }")
        sends = {node.message_id: node for node in self.nodes if node.kind == "send"}
        for node in self.nodes:
            lines += [
                f'  "{node.worker}/{node.number}" -> "{node.worker}/{k}";' for k in node.edges
            ]
            if node.kind == "recv" and node.message_id in sends:
                send = sends[node.message_id]
                lines.append(
                    f'  "{node.worker}/{node.number}" -> "{send.worker}/{send.number}" [style=dashed];'
                )
        return "\n".join([*lines, "}"])


def graph(context_id: int) -> Graph:
    """The graph of a context, gathered from all workers that it has reached.

    Raises
    ------
    ContextError
        If this worker has no part of the context.
    """
    agent = state.agent()
    agent.contexts.find(context_id)
    nodes: list = []
    seen: set = set()
    todo = {agent.rank}
    while todo:
        rank = todo.pop()
        seen.add(rank)
        found, known = rpc_api.rpc_sync(rank, part_of_graph, args=(context_id,))
        nodes += found
        todo |= set(known) - seen
    return Graph(context_id, tuple(sorted(nodes, key=lambda node: (node.worker, node.number))))


def part_of_graph(context_id: int) -> tuple:
    """This worker's nodes, and the ranks that its messages went to."""
    agent = state.agent()
    context = agent.contexts.table.get(context_id)
    if context is None:
        return [], []
    context.merge_done()
    numbers: dict = {}
    order: list = []
    stack: list[Any] = [*context.sends.values(), *context.recvs.values()]
    while stack:
        node = stack.pop()
        if node in numbers:
            continue
        numbers[node] = len(numbers)
        order.append(node)
        if not isinstance(node, Tensor):
            stack += [edge[0] for edge in node.edges if edge is not None]
    worker = agent.session.names[agent.rank]
    return [describe(node, worker, numbers, context) for node in order], sorted(context.known)


def describe(node: Any, worker: str, numbers: dict, context: Any) -> GraphNode:
    number = numbers[node]
    if isinstance(node, Tensor):
        return GraphNode(worker, number, "leaf", f"leaf {tuple(node.shape)}", 0, False, ())
    edges = tuple(numbers[edge[0]] for edge in node.edges if edge is not None)
    if type(node) is SendRpcBackward:
        what = getattr(node.what, "__qualname__", None) or str(node.what)
        name = f"send {what}"
        return GraphNode(
            worker, number, "send", name, node.message_id, node.message_id in context.served, edges
        )
    if type(node) is RecvRpcBackward:
        return GraphNode(worker, number, "recv", "recv", node.message_id, False, ())
    return GraphNode(worker, number, "op", class_name(node.name), 0, False, edges, site_of(node))
