"""Random graphs across workers with exact gradients, and what one process would get for them.

Nodes, send and recv functions are nbgrad's own.  Every op multiplies its cotangent by a small integer per edge, so sums
are exact in any order, and a gradient that is wrong, doubled or lost differs by whole numbers.
"""

import numpy as np

from nbgrad.autograd.node import Node
from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd.send_recv import RecvRpcBackward, SendRpcBackward
from tests.simulation.group import Planted

LIKE = ((1,), np.dtype(np.float64))


class Graph:
    """What a forward pass recorded on several workers, in one context."""

    def __init__(self, contexts):
        self.contexts = contexts  # per worker: its part of the context
        self.order, self.links, self.weights = [], {}, {}  # links: recv -> its send
        self.names = {}  # leaf -> (worker, number)
        self.failing = set()
        self.n_messages = 0

    def leaf(self, worker):
        made = Tensor(np.zeros(1), True)
        self.names[made] = (worker, len(self.names))
        return made, 0

    def op(self, edges, weights):
        """A node with one result; its VJP multiplies by the weights."""

        def vjp(residuals, g):
            return tuple(g * weight for weight in weights)

        made = Node(vjp, None, tuple(edges), "op")
        self.weights[made] = weights
        self.order.append(made)
        return made, 0

    def fail(self, edges):
        """A node whose VJP raises."""

        def vjp(residuals, g):
            raise Planted

        made = Node(vjp, None, tuple(edges), "fail")
        self.weights[made] = [1] * len(edges)
        self.failing.add(made)
        self.order.append(made)
        return made, 0

    def send(self, source, target, edges, arrives=True):
        """A message with results: what the receiver gets for them."""
        self.n_messages += 1
        message_id = source << 48 | self.n_messages
        send = SendRpcBackward(tuple(edges), message_id, target, "site")
        self.contexts[source].sends[message_id] = send
        self.order.append(send)
        if not arrives:
            return []
        recv = RecvRpcBackward(message_id, source, [LIKE] * len(edges))
        self.contexts[target].recvs[message_id] = recv
        self.links[recv] = send
        self.order.append(recv)
        return [(recv, k) for k in range(len(edges))]

    def expected(self, roots):
        """{(worker, number): gradient} of the leaves that the roots reach."""
        cotangents, gradients = {}, {}

        def add(edge, value):
            target, idx = edge
            if isinstance(target, Tensor):
                name = self.names[target]
                gradients[name] = gradients.get(name, 0) + value
            else:
                cotangents.setdefault(target, {})
                cotangents[target][idx] = cotangents[target].get(idx, 0) + value

        for node in roots:
            add((node, 0), 1)
        for node in reversed(self.order):
            for idx, value in cotangents.get(node, {}).items():
                if node in self.links:
                    add((self.links[node], idx), value)
                elif isinstance(node, SendRpcBackward):
                    add(node.edges[idx], value)
                else:
                    for edge, weight in zip(node.edges, self.weights[node]):
                        add(edge, value * weight)
        return gradients

    def meets_failure(self, roots):
        """Whether the roots reach a node that raises."""
        seen, stack = set(), list(roots)
        while stack:
            node = stack.pop()
            if node in seen or isinstance(node, Tensor):
                continue
            seen.add(node)
            stack += (
                [self.links[node]] if node in self.links else [target for target, _ in node.edges]
            )
        return bool(seen & self.failing)

    def sums(self, leaves):
        """The same form from {leaf: array or Tensor}."""
        return {
            self.names[leaf]: float(np.asarray(getattr(g, "array", g))[0])
            for leaf, g in leaves.items()
        }


def random_graph(contexts, rng, n_steps, slots=1, lost=0.0, fail=0.0):
    """A graph from `n_steps` random ops and messages; the pools of results, one per worker."""
    graph, world = Graph(contexts), len(contexts)
    pools = [[graph.leaf(worker) for _ in range(rng.randint(1, 2))] for worker in range(world)]

    def pick(worker, k):
        pool = pools[worker][-4:] if rng.random() < 0.7 else pools[worker]
        return [rng.choice(pool) for _ in range(k)]

    for _ in range(n_steps):
        worker = rng.randrange(world)
        if rng.random() < 0.4:
            edges = pick(worker, rng.choice((1, 2, 2, 3)))
            if rng.random() < fail:
                pools[worker].append(graph.fail(edges))
                continue
            pools[worker].append(graph.op(edges, [rng.choice((-2, -1, 1, 2, 3)) for _ in edges]))
        else:
            target = rng.randrange(world)
            edges = list(dict.fromkeys(pick(worker, rng.randint(1, slots))))
            pools[target] += graph.send(worker, target, edges, rng.random() >= lost)
    return graph, pools


def loss(graph, edges):
    """A root over some results: (tensor, its node)."""
    node, _ = graph.op(edges, [1] * len(edges))
    return Tensor(np.zeros(1), True, node, 0), node
