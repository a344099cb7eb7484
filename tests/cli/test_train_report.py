"""The summary: differences that can't hide, figures for people, flat JSON for programs."""

import json
import math
import re

import numpy as np
import pytest
from rich.console import Console

from nbgrad.cli.train_report import (
    max_difference,
    parameters_difference,
    size,
    summary,
    write_json,
)


def test_difference_of_curves():
    assert max_difference([1.0, 2.0], [1.0, 2.0]) == 0.0
    assert max_difference([1.0, 2.0], [1.0, 2.5]) == 0.5
    assert max_difference([], []) == 0.0
    assert max_difference([1.0], [1.0, 2.0]) == math.inf
    assert math.isnan(max_difference([1.0], [math.nan]))


def test_difference_of_parameters():
    a, b = np.zeros((2, 2)), np.array([1.0])
    assert parameters_difference([a, b], [a, b]) == 0.0
    assert parameters_difference([a, b], [a, b - 3]) == 3.0
    assert parameters_difference([a, b], [a]) == math.inf
    assert parameters_difference([a], [a[0]]) == math.inf
    assert math.isnan(parameters_difference([a, b], [a, b * math.nan]))


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e6, "2 MB"), (3e16, "3e+04 TB")],
)
def test_size(n_bytes, text):
    assert size(n_bytes) == text


def test_summary_shows_what_there_is():
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(summary({"test_accuracy": 0.98125, "loss_curve_max_diff": 0.0, "hops": 1380}))
    assert [re.split("  +", line.strip()) for line in capture.get().splitlines()] == [
        ["test accuracy", "98.12 %"],
        ["backward hops", "1,380"],
        ["loss curve against one process", "none: bit-identical"],
    ]


def test_json_is_read_back(tmp_path):
    figures = {"hops": 3, "wall_s": 1.5, "versions": {"nbgrad": "0.1.0"}}
    write_json(tmp_path / "out.json", figures)
    assert json.loads((tmp_path / "out.json").read_text()) == figures
