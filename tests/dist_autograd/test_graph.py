"""The graph of a context, gathered from its workers."""

import nbgrad as nb
from nbgrad import dist_autograd, rpc


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
