"""Where nodes stand in a picture, and what is written there."""

import builtins
import xml.etree.ElementTree as ElementTree

import pytest

from nbgrad.dist_autograd.graph import Graph, GraphNode
from nbgrad.dist_autograd.picture import columns, rows

NODES = (
    GraphNode("worker0", 0, "op", "SumBackward0", 0, False, (1,)),
    GraphNode("worker0", 1, "recv", "recv", 8, False, (), None, "worker1"),
    GraphNode("worker0", 2, "send", "send mul", 7, True, (3,), None, "worker1"),
    GraphNode("worker0", 3, "leaf", "leaf (3,)", 0, False, ()),
    GraphNode("worker0", 4, "send", "send <lambda>", 9, False, (3,), None, "worker1"),
    GraphNode("worker1", 0, "send", "send the result of mul", 8, True, (1,), None, "worker0"),
    GraphNode("worker1", 1, "op", "MulBackward0", 0, False, (2, 2)),
    GraphNode("worker1", 2, "recv", "recv", 7, False, (), None, "worker0"),
)
GRAPH = Graph(5, NODES)


def test_a_node_stands_behind_all_that_its_gradient_comes_from():
    column = columns(GRAPH.arrows())
    assert column == {
        ("worker0", 0): 0,
        ("worker0", 1): 1,
        ("worker1", 0): 2,
        ("worker1", 1): 3,
        ("worker1", 2): 4,
        ("worker0", 2): 5,
        ("worker0", 3): 6,
        ("worker0", 4): 5,  # nothing leads there: next to what it leads to
    }


def test_no_two_nodes_stand_in_one_place_and_workers_do_not_mix():
    arrows = GRAPH.arrows()
    column = columns(arrows)
    row, bands = rows(list(arrows), arrows, column)
    assert len({(column[key], row[key]) for key in arrows}) == len(arrows)
    assert bands == {"worker0": (0, 2), "worker1": (2, 1)}
    for (worker, _), place in row.items():
        first, n_rows = bands[worker]
        assert first <= place < first + n_rows


def test_the_file_is_svg_with_all_labels_in_it(tmp_path):
    text = GRAPH.svg(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == text
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert sorted(words) == sorted(
        [
            "context 5: 8 nodes, 1 unserved sends",
            "worker0",
            "worker1",
            *[node.label() for node in NODES],
        ]
    )
    assert "send <lambda> to worker1  UNSERVED" in words
    assert text == GRAPH.svg()  # the same each time


def test_only_what_is_unserved_is_red():
    assert "#c00000" in GRAPH.svg()
    served = Graph(5, tuple(node for node in NODES if node.number != 4))
    assert "#c00000" not in served.svg()


def test_an_empty_graph_has_a_picture():
    assert "context 5: 0 nodes" in Graph(5, ()).svg()


def test_without_matplotlib_the_error_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'nbgrad\[plot\]'.*Graph\.dot\(\)"):
        GRAPH.svg()
