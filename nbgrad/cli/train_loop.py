"""The training loop of `nbgrad train`, the same for all strategies.

The loop drives a *system*, a model with its optimizer, wherever they are; each worker that trains runs it.  Since the loop
is the same, all do the same operations in the same order.  `drive` tells the launcher how it goes through the journal in
the run's folder, goes on from a checkpoint and writes some, and leaves the trained parameters in the folder.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nbgrad.checkpoint import Checkpoints
from nbgrad.cli.journal import Journal
from nbgrad.cli.train_plan import Batches, Plan
from nbgrad.cli.train_stages import filled
from nbgrad.cli.train_task import Task
from nbgrad.errors import NonFiniteError

JOURNAL, VALUES = "journal", "values.npz"  # files in the folder of a run
TOLD_S = 0.5  # how often the journal is written within an epoch


class System:
    """A model with its optimizer, wherever its parameters live; base of the strategies.

    Attributes
    ----------
    is_teller : bool
        Whether this worker writes the journal.
    share : (int, int)
        (k, n): this worker takes the batches k, k + n, k + 2n and so on; (0, 1) where all work on each batch.
    meets_every : int
        After how many steps all who train `meet`.
    files : (int, int)
        Which of how many files of a checkpoint this worker writes.
    """

    is_teller = True
    share = 0, 1
    meets_every = 1
    files = 0, 1

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        """Train on one batch at that learning rate; the loss before the update.

        Where all work on one batch the mean over the workers is the loss.
        """
        raise NotImplementedError

    def meet(self, numbers: list[float]) -> list[float]:
        """The means of these numbers over all workers that train; they all call this."""
        return numbers

    def values(self) -> list[np.ndarray]:
        """All parameters of the model, in order; all that train call this, and the teller uses it."""
        raise NotImplementedError

    def figures(self) -> dict[str, Any]:
        """What it has to say about itself at the end of the training; all that train call this."""
        return {}

    def close(self) -> None:
        """End it, when the training is over."""

    def state_dict(self) -> dict[str, Any]:
        """For this worker's file of a checkpoint."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From such a file."""
        raise NotImplementedError


@dataclass
class Curve:
    """How a training run went, from where it began or went on."""

    losses: list[float] = field(default_factory=list)  # one per step
    epoch_losses: list[float] = field(default_factory=list)  # the mean over each epoch
    samples_per_s: list[float] = field(default_factory=list)  # one per epoch
    step: int = 0
    n_rounds: int = 1  # steps of an epoch
    part: float = 0.0  # of the training that is over

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.n_rounds


class Timer:
    """How much of the training is over: by steps, or by time."""

    def __init__(self, plan: Plan, n_rounds: int, before: float) -> None:
        self.plan, self.n_steps, self.before = plan, plan.epochs * n_rounds, before
        self.start = time.monotonic()

    def part(self, step: int) -> float:
        """This worker's opinion."""
        if self.plan.minutes is None:
            return step / self.n_steps
        return self.before + (time.monotonic() - self.start) / (60 * self.plan.minutes)


def train(
    plan: Plan,
    task: Task,
    system: System,
    tell: Callable[[Curve, bool], None],
    checkpoints: Checkpoints | None = None,
) -> Curve:
    """Train `system` as the plan says; `tell(curve, is_end_of_epoch)` is called after each step."""
    batches, (first, each) = Batches(plan, task), system.share
    rows = sum(last - start for start, last in batches.cuts)
    curve = Curve(n_rounds=max(1, len(batches) // each))
    if checkpoints is not None:
        resume(curve, plan, system, checkpoints)
    timer = Timer(plan, curve.n_rounds, curve.part)
    curve.part = timer.part(curve.step)
    began, n_begun, is_saved = time.perf_counter(), 0, False
    is_over = curve.part >= 1.0
    while not is_over:
        epoch, number = divmod(curve.step, curve.n_rounds)
        x, y = batches.get(epoch, (number * each + first) % len(batches))
        loss = system.step(x, y, plan.lr * task.factor(curve.step, curve.part))
        curve.step += 1
        is_end, part = curve.step % curve.n_rounds == 0, timer.part(curve.step)
        is_saved = checkpoints is not None and curve.step % plan.save_every == 0
        if is_end or is_saved or curve.step % system.meets_every == 0:
            loss, mean_part = system.meet([loss, part])
            finite(loss, plan, curve)
            if plan.minutes is not None:
                part = mean_part  # so that all stop at the same step
            is_over = part >= 1.0
        curve.losses.append(loss)
        curve.part = part
        if is_saved:
            save(curve, plan, system, checkpoints)
        if is_end or is_over:
            now, n_steps = time.perf_counter(), len(curve.losses) - n_begun
            curve.epoch_losses.append(float(np.mean(curve.losses[n_begun:])))
            curve.samples_per_s.append(n_steps * rows / curve.n_rounds / (now - began))
            began, n_begun = now, len(curve.losses)
        tell(curve, is_end)
    if checkpoints is not None and not is_saved:
        save(curve, plan, system, checkpoints)
    return curve


def resume(curve: Curve, plan: Plan, system: System, checkpoints: Checkpoints) -> None:
    """Go on from the newest checkpoint, if there is one."""
    curve.step = checkpoints.resume()
    if plan.minutes is not None:
        curve.part = checkpoints.extra.get("part", 0.0)
    if not plan.is_synchronous:
        system.meet([0.0])  # none may save, or step what others still load, before all have resumed


def save(curve: Curve, plan: Plan, system: System, checkpoints: Any) -> None:
    """Write this worker's file of a checkpoint."""
    checkpoints.save(curve.step, part=curve.part)
    if not plan.is_synchronous:
        system.meet([0.0])  # the files of all hold the same values: nobody steps meanwhile


def finite(loss: float, plan: Plan, curve: Curve) -> None:
    """Raise if the loss is no number; going on only wastes time."""
    if not math.isfinite(loss):
        raise NonFiniteError(
            f"the loss is {loss} in epoch {1 + (curve.step - 1) // curve.n_rounds}: the parameters have grown without "
            f"bound. --lr {plan.lr:g} is likely too high; leave it away for one that works."
        )


def drive(plan: Plan, task: Task, system: System, folder: Path) -> None:
    """Train and test `system`; the journal and the parameters go to `folder`."""
    journal, told = Journal(folder / JOURNAL), 0.0

    def tell(curve: Curve, is_end: bool) -> None:
        nonlocal told
        now = time.monotonic()
        if system.is_teller and (is_end or now > told + TOLD_S):
            told = now
            line = {
                "kind": "step",
                "step": curve.step,
                "part": curve.part,
                "loss": curve.losses[-1],
            }
            if is_end:
                line |= {"kind": "epoch", "epoch": curve.epoch, "loss": curve.epoch_losses[-1]}
                line["samples_per_s"] = curve.samples_per_s[-1]
            journal.write(**line)

    checkpoints = None
    if plan.checkpoint_dir is not None:
        checkpoints = Checkpoints(plan.checkpoint_dir, {"system": system}, *system.files)
    try:
        curve = train(plan, task, system, tell, checkpoints)
    except NonFiniteError as error:
        if system.is_teller:
            journal.write(kind="failed", text=str(error))
        return
    figures, values = system.figures(), system.values()
    if system.is_teller:
        np.savez(folder / VALUES, *values)
        speeds = curve.samples_per_s
        journal.write(
            kind="end",
            losses=curve.losses,
            epochs_done=curve.epoch,
            steps=curve.step,
            **({"samples_per_s": float(np.median(speeds))} if speeds else {}),
            **figures,
            **task.report(filled(task, plan.seed, values)),
        )
    system.close()
