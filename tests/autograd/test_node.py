import gc
import weakref

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.node import Node, class_name
from nbgrad.errors import GraphError


def test_edges_lead_to_nodes_and_leaves():
    a, b, c = nb.ones(1, requires_grad=True), nb.ones(1), nb.ones(1, requires_grad=True)
    y = a * b + c
    product, to_c = y.node.edges
    assert to_c == (c, 0)
    assert product[0].edges == ((a, 0), None)
    assert y.node.seq > product[0].seq
    assert y.grad_fn.next_functions[0] == y.node.edges[0]
    assert y.grad_fn.next_functions[1][0].variable is c


def test_a_graph_is_freed_by_reference_counts_alone():
    gc.disable()
    try:
        x = nb.ones(1, requires_grad=True)
        y = (x * x).exp()
        watch = weakref.ref(y)
        leaf = weakref.ref(x)
        del x, y
        assert watch() is None
        assert leaf() is None
    finally:
        gc.enable()


def test_a_long_chain_is_freed_without_overflowing_the_stack():
    x = nb.ones(1, requires_grad=True)
    for _ in range(100_000):
        x = x + 1.0
    del x


def test_release_drops_arrays_and_keeps_edges():
    node = Node(lambda residuals, g: (g,), (np.ones(1),), (None,), "some_op")
    node.release()
    assert node.edges == (None,)
    with pytest.raises(GraphError, match=r"second time.*'some_op'"):
        node.vjp(node.residuals, np.ones(1))


def test_residuals_without_arrays_are_kept():
    node = Node(lambda residuals, g: (g,), ((2, 3),), (None,), "some_op")
    node.release()
    assert node.residuals == ((2, 3),)
    nothing = Node(lambda residuals, g: (g,), None, (None,), "some_op")
    nothing.release()


def test_names():
    assert class_name("log_softmax") == "LogSoftmaxBackward0"
    assert repr((nb.ones(1, requires_grad=True) * 2).node) == "<MulBackward0>"
