"""The chart: a column per part of the training, from the largest loss to the smallest."""

import pytest
from rich.console import Console

from nbgrad.cli.train_chart import HEIGHT, Chart


def chart(losses, width=10):
    made = Chart(width)
    for k, loss in enumerate(losses):
        made.add(k / len(losses), loss)
    return made


def test_from_the_largest_to_the_smallest():
    lines = chart([8.0, 6.0, 4.0, 2.0], width=4).lines()
    assert len(lines) == HEIGHT
    assert lines[0] == "        8 ┤█"
    assert lines[-1] == "        2 ┤███▁"
    assert all(line[10] == "│" for line in lines[1:-1])


def test_a_steep_fall_is_drawn_on_a_logarithmic_scale():
    heights = [line.count("█") for line in chart([1000.0, 10.0, 0.1], width=3).lines()]
    assert heights == sorted(heights)
    assert heights[2:5] in ([1, 1, 2], [1, 2, 2], [1, 1, 1])
    assert sum(heights) > HEIGHT + 2  # 10 stands in the middle


def test_columns_are_means_and_gaps_go_on():
    made = Chart(4)
    made.add(0.0, 2.0)
    made.add(0.1, 4.0)
    made.add(0.6, 1.0)
    assert made.columns() == [3.0, 3.0, 1.0]
    made.add(1.0, 1.0)
    assert made.columns() == [3.0, 3.0, 1.0, 1.0]


@pytest.mark.parametrize("losses", [[], [float("nan")], [1.0, float("inf")]])
def test_what_can_not_be_drawn_is_empty(losses):
    assert chart(losses).lines() == []


def test_equal_losses():
    assert chart([1.0, 1.0], width=2).lines()[-1] == "        1 ┤▁▁"


def test_rich_prints_it():
    console = Console(width=40, color_system=None)
    with console.capture() as capture:
        console.print(chart([2.0, 1.0], width=2))
    assert "┤█" in capture.get()
