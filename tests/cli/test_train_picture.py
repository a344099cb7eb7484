"""The picture of the loss curves: a file that is one, and why there is none."""

import sys

import numpy as np
import pytest

from nbgrad.cli.train_picture import draw, smoothed


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")]
)
def test_a_picture_is_drawn(tmp_path, name, begins):
    curves = {"2 workers": [3.0, 2.0, 1.0], "one process": [3.0, 2.0, 0.0], "none": []}
    draw(tmp_path / name, curves, "losses")
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_means_of_stretches():
    steps, means = smoothed([1.0, 2.0, 3.0])
    assert (steps.tolist(), means.tolist()) == ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    steps, means = smoothed(np.arange(1000.0))
    assert len(steps) == len(means) == 100
    assert (steps[0], means[0]) == (5.5, 4.5)
    assert smoothed([])[1].tolist() == []


def test_without_matplotlib_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'nbgrad\[plot\]'. Without it, --json"):
        draw(tmp_path / "a.png", {"run": [1.0]}, "losses")
