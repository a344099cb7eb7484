"""A picture of a graph: one band per worker, gradients flow from left to right.

    ┌ worker0 ────────────────────────────┐
    │ sum ─► recv ┄┄┐       ┄► send ─► leaf│
    ├ worker1 ──────┊───────┊─────────────┤
    │               ┄► send ─► mul ─► recv │
    └─────────────────────────────────────┘

A node stands in the column after the last of those that its gradient comes from; matplotlib (extra `plot`) draws.
"""

import graphlib
import io
from collections.abc import Sequence
from typing import Any

INCHES_PER_LETTER, BOX, GAP, ROW, MARGIN = 0.075, 0.25, 0.45, 0.55, 0.35
STYLES = {"op": "round4", "leaf": "square", "send": "rarrow", "recv": "rarrow"}
FILLS = {"op": "#ffffff", "leaf": "#e3f0d8", "send": "#fdf3d0", "recv": "#dbe8f7"}
BANDS = "#f4f4f4", "#ffffff"
UNSERVED = "#c00000"


def columns(arrows: dict[Any, list]) -> dict:
    """Node -> column: behind the last of those that lead to it; if there are none, before the first that it leads to."""
    sorter = graphlib.TopologicalSorter(dict.fromkeys(arrows, ()))
    for node, targets in arrows.items():
        for target in targets:
            sorter.add(target, node)
    sorter.prepare()
    found: dict = {}
    starts: tuple = ()
    number = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        found |= dict.fromkeys(ready, number)
        starts = starts or ready
        sorter.done(*ready)
        number += 1
    return found | {
        node: min(found[target] for target in arrows[node]) - 1 for node in starts if arrows[node]
    }


def rows(keys: Sequence[tuple], arrows: dict[Any, list], column: dict) -> tuple[dict, dict]:
    """(node -> row, worker -> (first row, how many)); nodes of one column stand near those that they come from."""
    parents: dict = {}
    for node, targets in arrows.items():
        for target in targets:
            parents.setdefault(target, []).append(node)
    taken: dict = {}
    within: dict = {}
    for node in sorted(keys, key=lambda node: (column[node], node)):
        own = [within[p] for p in parents.get(node, ()) if p[0] == node[0]]
        place = taken.setdefault((node[0], column[node]), set())
        wanted = round(sum(own) / len(own)) if own else 0
        while wanted in place:
            wanted += 1
        place.add(wanted)
        within[node] = wanted
    bands: dict = {}
    first = 0
    for worker in sorted({node[0] for node in keys}):
        n_rows = 1 + max(within[node] for node in keys if node[0] == worker)
        bands[worker] = first, n_rows
        first += n_rows
    return {node: bands[node[0]][0] + within[node] for node in keys}, bands


def empty_figure(size_inches: tuple[float, float], dpi: float, instead: str) -> Any:
    """A figure of matplotlib to draw on; `instead` tells what helps without it.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"pictures are drawn by matplotlib, which is not installed: pip install 'nbgrad[plot]'. Without it, {instead}"
        ) from error
    return Figure(figsize=size_inches, dpi=dpi)


def svg(nodes: Sequence[Any], arrows: dict[tuple, list], title: str) -> str:
    """The picture of `GraphNode`s as the text of an SVG file.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    instead = "Graph.dot() gives the graph in Graphviz's language (`dot -Tsvg` draws that), and str(graph) gives it as text"
    figure = empty_figure((1, 1), 72, instead)  # dots per inch of SVG
    import matplotlib
    from matplotlib.patches import Rectangle

    keys = [(node.worker, node.number) for node in nodes]
    column = columns(arrows)
    row, bands = rows(keys, arrows, column)
    widths = [0.0] * (1 + max(column.values(), default=0))
    for key, node in zip(keys, nodes):
        width = 2 * BOX + INCHES_PER_LETTER * len(node.label())
        widths[column[key]] = max(widths[column[key]], width)
    center, left = [], MARGIN
    for width in widths:
        center.append(left + width / 2)
        left += width + GAP
    whole = max(left - GAP, INCHES_PER_LETTER * len(title)) + MARGIN
    height = ROW * sum(n for _, n in bands.values()) + 2 * MARGIN
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nbgrad"}):
        figure.set_size_inches(whole, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, whole)
        axes.set_ylim(height, 0)
        axes.axis("off")
        axes.text(0.1, 0.12, title, fontsize=8, va="top")
        for number, (worker, (first, n_rows)) in enumerate(bands.items()):
            top = MARGIN + ROW * first
            color = BANDS[number % 2]
            axes.add_patch(
                Rectangle((0, top), whole, ROW * n_rows, facecolor=color, edgecolor="#bbbbbb")
            )
            axes.text(0.06, top + 0.04, worker, fontsize=8, fontweight="bold", va="top")
        boxes = {}
        for key, node in zip(keys, nodes):
            is_unserved = node.kind == "send" and not node.served
            look = {
                "boxstyle": STYLES[node.kind],
                "facecolor": FILLS[node.kind],
                "edgecolor": UNSERVED if is_unserved else "#444444",
                "linewidth": 1.6 if is_unserved else 0.8,
            }
            place = center[column[key]], MARGIN + ROW * (row[key] + 0.6)
            ink = UNSERVED if is_unserved else "black"
            boxes[key] = axes.text(
                *place,
                node.label(),
                fontsize=8,
                ha="center",
                va="center",
                bbox=look,
                color=ink,
                zorder=3,
            )
        unserved = {
            key for key, node in zip(keys, nodes) if node.kind == "send" and not node.served
        }
        for (key, targets), node in zip(arrows.items(), nodes):
            for target in targets:
                axes.annotate(
                    "",
                    xy=boxes[target].get_position(),
                    xytext=boxes[key].get_position(),
                    arrowprops={
                        "arrowstyle": "-|>",
                        "linestyle": "--" if node.kind == "recv" else "-",
                        "color": UNSERVED if target in unserved else "#444444",
                        "patchA": boxes[key].get_bbox_patch(),
                        "patchB": boxes[target].get_bbox_patch(),
                        "shrinkA": 2,
                        "shrinkB": 2,
                    },
                    zorder=2,
                )
        text = io.StringIO()
        figure.draw_without_rendering()  # boxes get their places, which arrows look at
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
