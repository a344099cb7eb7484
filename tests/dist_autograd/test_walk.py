"""Counting edges: shared nodes, leaves, several outputs, code of users; in Python and in one native call."""

import random
import sys

import pytest

import nbgrad as nb
from nbgrad.autograd.node import Node
from nbgrad.dist_autograd.walk import entry, ready_walk, walk


def counted(*roots):
    """(table, whether there is code of users); both forms find the same."""
    found = []
    for form in (walk, ready_walk()):
        table = {root.node: entry(root.node) for root in roots}
        starts = list(table)
        found.append((table, form(starts, table)))
        assert set(starts) == {target for target in table if isinstance(target, Node)}
        assert len(starts) == len(set(starts))
    assert found[0] == found[1]
    return found[1]


def test_each_node_once_and_each_edge_counted():
    x = nb.ones(2, requires_grad=True)
    y = x * x
    z = y + y * 3
    table, has_user_code = counted(z)
    assert table[x][0] == 2
    assert table[y.node][0] == 2
    assert table[z.node][0] == 0, "nothing below leads to a start"
    assert len(table) == 4
    assert not has_user_code


def test_a_start_below_another_start():
    y = nb.ones(2, requires_grad=True) * 2
    z = y * 3
    table, _ = counted(z, y)
    assert table[y.node][0] == 1
    assert len(table) == 3


def test_nodes_of_several_outputs_have_slots():
    a, b = nb.ones(4, requires_grad=True).chunk(2)
    table, _ = counted(a * b)
    assert table[a.node] == [2, [None, None]]
    table, _ = counted(a)
    assert table[a.node] == [0, [None, None]]


class Square(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * x

    @staticmethod
    def backward(ctx, g):
        return g


@pytest.mark.parametrize("who", ["leaf", "result", "function"])
def test_code_of_users_is_seen(who):
    x = nb.ones(2, requires_grad=True)
    y = Square.apply(x) if who == "function" else x * 2
    if who == "leaf":
        x.register_hook(print)
    if who == "result":
        y.register_hook(print)
    assert counted(y.sum())[1]


@pytest.mark.parametrize("seed", range(20))
def test_both_forms_find_the_same_in_random_graphs(seed):
    draw = random.Random(seed)
    values = [nb.ones(4, requires_grad=draw.random() < 0.7) for _ in range(3)]
    values.append(nb.ones(4, requires_grad=True) * 1)
    for _ in range(30):
        x, y = draw.choices(values, k=2)
        values.append(x * y + x)
        if draw.random() < 0.2:
            a, b = draw.choice(values).chunk(2)
            values.append(nb.cat([b, a]))
    recorded = [value for value in values if value.node is not None]
    table, _ = counted(recorded[-1], *draw.choices(recorded, k=3))
    assert len(table) > 3


def test_references_do_not_drift():
    x = nb.ones(4, requires_grad=True)
    a, b = (x * 2).chunk(2)
    loss = (a * b).sum()
    things = None, x, a.node, loss.node, entry
    native = ready_walk()

    def refcounts():
        return [sys.getrefcount(thing) for thing in things]

    def run():
        table = {loss.node: entry(loss.node)}
        native([loss.node], table)

    run()
    before = refcounts()
    for _ in range(300):  # beyond the integers that Python keeps
        run()
    assert refcounts()[1:] == before[1:]
    assert abs(refcounts()[0] - before[0]) < 100, "None"


def test_many_edges_into_one_target():
    x = nb.ones(2, requires_grad=True) * 1
    total = x
    for _ in range(400):
        total = total + x
    assert counted(total)[0][x.node][0] == 401


@pytest.mark.parametrize("edges", [[], (1,), ((1, 0),), ([None, 0],)])
def test_what_is_no_edge_is_refused(edges):
    node = Node(print, None, edges, "wrong")
    with pytest.raises(TypeError):
        ready_walk()([node], {node: entry(node)})
