"""`nbgrad train`: a real model trained across processes, and checked.

launcher (this file)                    worker 0            worker 1 ...
starts the group ──────────────────────▶ train, as the strategy says
shows the journal's lines ◀──journal──── step by step
trains again, in one process
compares loss curves and parameters, prints the summary
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

import nbgrad as nb
from nbgrad import multiprocessing
from nbgrad.cli import (
    train_alone,
    train_options,
    train_picture,
    train_pipeline,
    train_server,
    train_together,
    train_workers,
)
from nbgrad.cli.doctor import versions
from nbgrad.cli.journal import Tail
from nbgrad.cli.train_loop import JOURNAL, VALUES
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_report import max_difference, parameters_difference, summary, write_json
from nbgrad.cli.train_screen import Screen
from nbgrad.cli.train_tasks import task_of

POLL_S = 0.05  # how often the launcher looks at the journal
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
WORK: dict[str, Callable] = {
    "model": train_workers.work,
    "ddp": train_together.work,
    "shared": train_together.work,
    "hogwild": train_together.work,
    "ps": train_server.work,
    "pipeline": train_pipeline.work,
}
SCORES = ("test_accuracy", "test_r2", "test_bits")


def since_start_s() -> float:
    """Seconds since this process began, imports and the interpreter's own start included."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


class Run:
    """One training run in worker processes: it shows their journal, and keeps what they leave.

    Parameters
    ----------
    work : callable
        `work(rank, plan, folder)`, what each process runs.
    plan : Plan
        The settings.
    n_processes : int
        How many processes.
    screen : Screen
        Where to show how it goes.
    """

    def __init__(self, work: Callable, plan: Plan, n_processes: int, screen: Screen) -> None:
        self.work, self.plan, self.n_processes, self.screen = work, plan, n_processes, screen
        self.losses: list[float] = []
        self.values: list[np.ndarray] = []

    def follow(self, title: str, figures: dict[str, Any]) -> None:
        """Start, and watch until the end; `figures` are filled as they come."""
        self.screen.begin(title, "starting")
        nb.manual_seed(self.plan.seed)  # each worker gets a stream of its own, made of this seed
        with tempfile.TemporaryDirectory(prefix="nbgrad-train-") as folder:
            tail, arguments = Tail(Path(folder, JOURNAL)), (self.plan, folder)
            context: Any = multiprocessing.spawn(self.work, arguments, self.n_processes, join=False)
            while not context.join(timeout=POLL_S):
                self.take(tail.read(), figures)
            self.take(tail.read(), figures)
            with np.load(Path(folder, VALUES)) as file:
                self.values = [file[name] for name in file.files]

    def take(self, lines: list[dict[str, Any]], figures: dict[str, Any]) -> None:
        """Show and keep what the journal says."""
        for line in lines:
            kind = line.pop("kind")
            if kind in ("step", "epoch"):
                self.screen.show(line)
                figures["steps"] = line["step"]
            if kind == "epoch":
                figures.setdefault("first_epoch_done_s", since_start_s())
                figures.update(epochs_done=line["epoch"], last_loss=line["loss"])
            elif kind == "failed":
                raise click.ClickException(line["text"])
            elif kind == "end":
                self.losses = line.pop("losses")
                figures.update(line)


def run_all(plan: Plan, is_checked: bool, screen: Screen, figures: dict[str, Any]) -> dict:
    """Train across processes; train in one process, and compare; the loss curves by their names."""
    across = Run(WORK[plan.strategy], plan, plan.workers, screen)
    across.follow(f"{plan.workers} workers, {plan.strategy}", figures)
    curves = {f"{plan.workers} workers, {plan.strategy}": across.losses}
    if not is_checked:
        return curves
    alone = Run(train_alone.work, replace(plan, checkpoint_dir=None), 1, screen)
    check: dict[str, Any] = {}
    alone.follow("one process", check)
    figures["one_process_samples_per_s"] = check["samples_per_s"]
    figures.update({f"one_process_{key}": check[key] for key in SCORES if key in check})
    if plan.is_synchronous:  # the rest of the curve, after a checkpoint
        rest = alone.losses[len(alone.losses) - len(across.losses) :]
        figures["loss_curve_max_diff"] = max_difference(across.losses, rest)
        figures["parameters_max_diff"] = parameters_difference(across.values, alone.values)
    return curves | {"one process": alone.losses}


@click.command()
@train_options.all_of_them
def train(file: str | None, plot: str | None, check: bool | None, **options: Any) -> None:
    """Train a network across processes, and check it.

    \b
    --task      what is learned            --strategy  how the workers share the work
      digits    handwritten digits           model     stages on workers, one distributed backward pass
      chars     a transformer that writes    ddp       each a part of the batch, averaged gradients
      table     a column from the others     shared    the same on one copy of the parameters
                                             hogwild   the same copy, without waiting
                                             ps        trainers of a model that lives on worker 0
                                             pipeline  stages that work at the same time

    The same training then runs in one process, and loss curves and final parameters are compared
    (not after --minutes).  --data reads your own table (CSV, Parquet, NPZ) or text.
    """
    plan = train_options.plan_of(options)
    is_checked = train_options.is_checked(plan, check)
    task = train_options.with_data(plan, task_of)
    train_options.prepare_folder(plan)
    console = Console()
    figures: dict[str, Any] = {**vars(plan), "interrupted": False, "versions": versions()}
    exit_code = 0
    curves: dict = {}
    try:
        with Screen(console, task.unit) as screen:
            curves = run_all(plan, is_checked, screen, figures)
    except KeyboardInterrupt:
        console.print("Interrupted. What was done:")
        figures["interrupted"] = True
        exit_code = INTERRUPTED
    figures["wall_s"] = since_start_s()
    if "sample" in figures:
        console.print(f"\n{figures['sample']}\n", markup=False, highlight=False)
    console.print(summary(figures))
    if plot is not None and curves:
        train_picture.draw(plot, curves, f"nbgrad train --task {plan.task}")
    if file is not None:
        write_json(file, figures | {"losses": next(iter(curves.values()), [])})
    raise click.exceptions.Exit(exit_code)
