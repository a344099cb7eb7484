"""The training loop of `nbgrad train`, the same for both ways to train.

The loop drives a *system*, a model with its optimizer: `train_workers.AcrossWorkers`, or
`train_alone.OneProcess` as the check.  Since the loop is the same, both do the same operations in the
same order.  `drive` tells the launcher how it goes through the journal in the run's folder, and leaves
the trained parameters there.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nbgrad.cli.journal import Journal
from nbgrad.cli.train_plan import COOLING, Plan, batches
from nbgrad.data import Digits, digits
from nbgrad.errors import NonFiniteError

JOURNAL, VALUES = "journal", "values.npz"  # files in the folder of a run


class System(Protocol):
    """A model with its optimizer, wherever its parameters live."""

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Train on one batch; the loss before the update."""

    def set_rate(self, lr: float) -> None:
        """Start a fresh optimizer with this learning rate."""

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Scores of the ten digits, shape (images, 10)."""

    def values(self) -> list[np.ndarray]:
        """All parameters, in order."""

    def figures(self) -> dict[str, Any]:
        """What it has to say about itself at the end of the training."""


@dataclass
class Curve:
    """How a training run went."""

    losses: list[float] = field(default_factory=list)  # one per batch
    epoch_losses: list[float] = field(default_factory=list)  # the mean over each epoch
    samples_per_s: list[float] = field(default_factory=list)  # one per epoch


def train(plan: Plan, data: Digits, system: System, on_epoch: Callable[[Curve], None]) -> Curve:
    """Train `system` as the plan says; `on_epoch` is told after each epoch."""
    curve = Curve()
    system.set_rate(plan.lr)
    start = time.perf_counter()
    for epoch, parts in enumerate(batches(plan, data)):
        if epoch == plan.cooling_epoch:
            system.set_rate(plan.lr * COOLING)
        losses = [finite(system.step(x, y), epoch, plan) for x, y in parts]
        now = time.perf_counter()
        curve.losses += losses
        curve.epoch_losses.append(float(np.mean(losses)))
        curve.samples_per_s.append(len(data.train_x) / (now - start))
        on_epoch(curve)
        start = now
    return curve


def finite(loss: float, epoch: int, plan: Plan) -> float:
    """`loss`, if it is a number; going on with another only wastes time."""
    if not math.isfinite(loss):
        raise NonFiniteError(
            f"the loss is {loss} in epoch {epoch + 1} of {plan.epochs}: the parameters have grown without bound. "
            f"--lr {plan.lr:g} is likely too high; 0.1 works."
        )
    return loss


def accuracy(system: System, data: Digits) -> float:
    """Part of the test images that `system` names right."""
    return float(np.mean(system.logits(data.test_x).argmax(axis=1) == data.test_y))


def drive(plan: Plan, system: System, folder: Path) -> None:
    """Train and test `system`; the journal and the parameters go to `folder`."""
    journal, data = Journal(folder / JOURNAL), digits()
    journal.write(kind="start")

    def on_epoch(curve: Curve) -> None:
        journal.write(
            kind="epoch",
            epoch=len(curve.epoch_losses),
            loss=curve.epoch_losses[-1],
            samples_per_s=curve.samples_per_s[-1],
        )

    try:
        curve = train(plan, data, system, on_epoch)
    except NonFiniteError as error:
        journal.write(kind="failed", text=str(error))
        return
    figures = system.figures()
    np.savez(folder / VALUES, *system.values())
    journal.write(
        kind="end",
        losses=curve.losses,
        test_accuracy=accuracy(system, data),
        samples_per_s=float(np.median(curve.samples_per_s)),
        **figures,
    )
