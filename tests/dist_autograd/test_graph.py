"""The graph of a context, gathered from its workers."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.graph import Graph, GraphNode
from nbgrad.errors import BackwardError, FastModeError


def add(x, y):
    return x + y


def nested(x):
    return rpc.rpc_sync("worker2", add, args=(x, x)) * 2


def gathered():
    x = nb.ones(3, requires_grad=True)
    with dist_autograd.context() as context_id:
        used = rpc.rpc_sync("worker1", nested, args=(x,))
        rpc.rpc_sync("worker1", add, args=(x, x))
        before = dist_autograd.graph(context_id)
        dist_autograd.backward(context_id, [used.sum()])
        return before, dist_autograd.graph(context_id)


def test_all_workers_are_there_and_unserved_sends_are_marked(group3):
    before, after = group3.call(gathered)
    assert {node.worker for node in after.nodes} == {"worker0", "worker1", "worker2"}
    kinds = [node.kind for node in after.nodes]
    assert (kinds.count("send"), kinds.count("recv"), kinds.count("leaf")) == (6, 6, 1)
    assert len(before.unserved) == 6
    assert sorted(node.name for node in after.unserved) == ["send add", "send the result of add"]
    assert "UNSERVED" in str(after)
    dot = after.dot()
    assert dot.count("subgraph") == 3
    assert dot.count("style=dashed") == 6
    assert dot.count('color="red"') == 2


def after_a_complaint():
    """Mode "fast" has complained: what it had served is not marked, what it names is."""
    x = nb.ones(3, requires_grad=True)
    with dist_autograd.context() as context_id:
        used = rpc.rpc_sync("worker1", nested, args=(x,))
        rpc.rpc_sync("worker2", add, args=(x, x))
        with pytest.raises(FastModeError, match=rf"graph\({context_id}\)"):
            dist_autograd.backward(context_id, [used.sum()], mode="fast")
        return dist_autograd.graph(context_id)


def test_after_a_complaint_of_mode_fast_only_what_it_names_is_marked(group3):
    unserved = group3.call(after_a_complaint).unserved
    assert sorted(node.label() for node in unserved) == [
        "send add to worker2  UNSERVED",
        "send the result of add to worker0  UNSERVED",
    ]


class Failing(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        raise KeyError("here")


def failing(x):
    return Failing.apply(x)


def after_a_failure():
    x = nb.ones(3, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync("worker1", failing, args=(x,)).sum()
        with pytest.raises(BackwardError, match="here"):
            dist_autograd.backward(context_id, [loss])
        return dist_autograd.graph(context_id, [loss])


def test_after_a_failure_one_sees_how_far_the_gradient_came(group2):
    found = group2.call(after_a_failure)
    assert [node.name for node in found.unserved] == ["send failing"]
    lines = str(found).splitlines()
    assert lines[0].endswith("7 nodes, 1 unserved sends")
    assert [line.split(" -> ")[0].split(" ", 3)[-1] for line in lines[1:]] == [
        "worker0:",
        "recv from worker1",
        "send failing to worker1  UNSERVED",
        "leaf (3,)",
        "SumBackward0",
        "worker1:",
        "recv from worker0",
        "send the result of failing to worker0",
        "FailingBackward0",
    ]


def test_names_with_quotes_are_no_trouble():
    found = Graph(0, (GraphNode("worker0", 0, "op", 'a "b"', 0, False, ()),))
    assert r'label="a \"b\""' in found.dot()
