"""Counting edges: shared nodes, leaves, several outputs, code of users."""

import pytest

import nbgrad as nb
from nbgrad.dist_autograd.walk import walk


def counted(*roots):
    table, seen = {}, set()
    has_user_code = walk([root.node for root in roots], table, seen)
    return table, seen, has_user_code


def test_each_node_once_and_each_edge_counted():
    x = nb.ones(2, requires_grad=True)
    y = x * x
    z = y + y * 3
    table, seen, has_user_code = counted(z)
    assert table[x][0] == 2
    assert table[y.node][0] == 2
    assert z.node not in table, "nothing below leads to a start"
    assert len(seen) == 3
    assert not has_user_code


def test_a_start_below_another_start():
    y = nb.ones(2, requires_grad=True) * 2
    z = y * 3
    table, seen, _ = counted(z, y)
    assert table[y.node][0] == 1
    assert seen == {y.node, z.node}


def test_nodes_of_several_outputs_have_slots():
    a, b = nb.ones(4, requires_grad=True).chunk(2)
    table, _, _ = counted(a * b)
    assert table[a.node] == [2, [None, None]]
    table, _, _ = counted(a)
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
    assert counted(y.sum())[2]
