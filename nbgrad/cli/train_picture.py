"""`nbgrad train --plot FILE.png`: the loss curves of a run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nbgrad.dist_autograd.picture import empty_figure

SUFFIXES = (".png", ".svg", ".pdf")
SIZE_INCHES, DPI = (8.0, 4.5), 150
SMOOTHED = 100  # points of the mean curve


def draw(file: str | Path, curves: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw losses by step, and their mean over stretches of the training, to a file.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    OSError
        If the file can't be written.
    """
    figure = empty_figure(SIZE_INCHES, DPI, "--json FILE writes the losses as numbers")
    axes = figure.add_subplot()
    for number, (name, losses) in enumerate(curves.items()):
        steps, means = smoothed(losses)
        axes.plot(np.arange(1, len(losses) + 1), losses, color=f"C{number}", alpha=0.25, lw=0.8)
        axes.plot(steps, means, color=f"C{number}", label=name)
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    everything = np.concatenate([np.asarray(losses, float) for losses in curves.values()])
    if len(everything) and everything.min() > 0:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file)


def smoothed(losses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(steps, mean losses) of about a hundred equal stretches."""
    parts = np.array_split(np.asarray(losses, float), max(1, min(SMOOTHED, len(losses))))
    parts = [part for part in parts if len(part)]
    ends = np.cumsum([len(part) for part in parts])
    lengths = np.array([len(part) for part in parts])
    return ends - (lengths - 1) / 2, np.array([part.mean() for part in parts])
