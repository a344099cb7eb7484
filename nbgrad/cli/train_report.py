"""What `nbgrad train` says at its end: a table for people, flat JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

UNITS = ("B", "kB", "MB", "GB", "TB")


def max_difference(curve: Sequence[float], other: Sequence[float]) -> float:
    """Largest distance between two loss curves; infinite where their lengths differ."""
    if len(curve) != len(other):
        return float("inf")
    return float(np.max(np.abs(np.subtract(curve, other)), initial=0.0))


def parameters_difference(values: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Largest distance between two lists of arrays; infinite where they don't match in shape."""
    if [v.shape for v in values] != [v.shape for v in other]:
        return float("inf")
    return float(np.max([np.max(np.abs(a - b), initial=0.0) for a, b in zip(values, other)]))


def size(n_bytes: float) -> str:
    """Bytes for a person: 12.3 MB."""
    for unit in UNITS[:-1]:
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} {UNITS[-1]}"


def difference(value: float) -> str:
    """A distance between runs for a person."""
    return "none: bit-identical" if value == 0 else f"{value:.3g}"


def percent(part: float) -> str:
    """A part for a person."""
    return f"{100 * part:.2f} %"


def bits(value: float) -> str:
    """Bits per character."""
    return f"{value:.3f} bits per character"


ROWS = (  # key of the figures, what it is called, how it is written
    ("test_accuracy", "test accuracy", percent),
    ("one_process_test_accuracy", "test accuracy of one process", percent),
    ("test_r2", "variance explained in test rows", percent),
    ("one_process_test_r2", "variance explained by one process", percent),
    ("test_rmse", "root mean square error in test rows", lambda v: f"{v:.4g}"),
    ("test_bits", "held-out text", bits),
    ("one_process_test_bits", "held-out text, one process", bits),
    ("unigram_bits", "  counting single characters", bits),
    ("bigram_bits", "  counting pairs", bits),
    ("trigram_bits", "  counting triples", bits),
    ("samples_per_s", "training speed", lambda v: f"{v:,.0f} samples/s"),
    ("placement", "placement of the workers", str),
    ("hops", "backward hops", lambda v: f"{v:,}"),
    (
        "hop_us_median",
        "median time of a hop",
        lambda v: f"{v:,.0f} us, with the stage's own work",
    ),
    ("bytes_zero_copy", "sent without a copy", size),
    ("bytes_copied", "sent by copying", size),
    ("bytes_moved", "moved by the steps of worker 0", size),
    ("mean_staleness", "steps of others within a step", lambda v: f"{v:.2f} on average"),
    ("bubble", "idle in the pipeline", percent),
    ("ideal_bubble", "  idle by the schedule alone", percent),
    ("loss_curve_max_diff", "loss curve against one process", difference),
    ("parameters_max_diff", "final parameters against one process", difference),
    ("one_process_samples_per_s", "speed in one process", lambda v: f"{v:,.0f} samples/s"),
    ("epochs_done", "epochs", lambda v: f"{v}"),
    ("steps", "steps", lambda v: f"{v:,}"),
    ("last_loss", "loss of the last epoch", lambda v: f"{v:.4f}"),
    ("first_epoch_done_s", "first epoch done after", lambda v: f"{v:.1f} s"),
    ("wall_s", "wall time", lambda v: f"{v:.1f} s"),
)


def summary(figures: Mapping[str, Any]) -> Table:
    """The figures that there are, one per line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, name, text in ROWS:
        if key in figures:
            table.add_row(name, text(figures[key]))
    return table


def write_json(file: str | Path, figures: Mapping[str, Any]) -> None:
    """Write the figures as one flat JSON object."""
    Path(file).write_text(json.dumps(figures, indent=1) + "\n")
