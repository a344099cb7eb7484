"""`nbgrad train`: a real model trained across processes by one distributed backward pass, and checked.

launcher (this file)                    worker 0            worker 1 ...
starts the group ──────────────────────▶ trains by RPC ────▶ serves
shows the journal's lines ◀──journal──── epoch by epoch
trains again, in one process
compares loss curves and parameters, prints the summary
"""

import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from nbgrad import multiprocessing
from nbgrad.cli import train_alone, train_chars, train_workers
from nbgrad.cli.doctor import versions
from nbgrad.cli.journal import Tail
from nbgrad.cli.train_chars import CharsPlan
from nbgrad.cli.train_loop import JOURNAL, VALUES
from nbgrad.cli.train_plan import EPOCHS, MAX_WORKERS, Plan
from nbgrad.cli.train_report import max_difference, parameters_difference, summary, write_json
from nbgrad.cli.train_screen import Screen
from nbgrad.cli.train_stages import MODELS

POLL_S = 0.05  # how often the launcher looks at the journal
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it


def finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A learning rate that is a number."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def writable(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A file that can be written at the end, looked at before the work starts."""
    if value is not None and not Path(value).absolute().parent.is_dir():
        raise click.BadParameter(f"the folder of {value!r} does not exist.")
    return value


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
        Where to show the epochs.
    """

    def __init__(self, work: Callable, plan: Plan, n_processes: int, screen: Screen) -> None:
        self.work, self.plan, self.n_processes, self.screen = work, plan, n_processes, screen
        self.losses: list[float] = []
        self.values: list[np.ndarray] = []

    def follow(self, title: str, figures: dict[str, Any]) -> None:
        """Start, and watch until the end; `figures` are filled as they come."""
        self.screen.begin(title, "starting")
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
            if kind == "epoch":
                self.screen.epoch(line["epoch"], line["loss"], line["samples_per_s"])
                figures.setdefault("first_epoch_done_s", since_start_s())
                figures.update(epochs_done=line["epoch"], last_loss=line["loss"])
            elif kind == "failed":
                raise click.ClickException(line["text"])
            elif kind == "end":
                self.losses = line.pop("losses")
                figures.update(line)


def run_both(plan: Plan, screen: Screen, figures: dict[str, Any]) -> None:
    """Train across processes, train in one process, compare."""
    across = Run(train_workers.work, plan, plan.workers, screen)
    across.follow(f"{plan.workers} workers", figures)
    alone = Run(train_alone.work, plan, 1, screen)
    check: dict[str, Any] = {}
    alone.follow("one process", check)
    figures["one_process_samples_per_s"] = check["samples_per_s"]
    figures["loss_curve_max_diff"] = max_difference(across.losses, alone.losses)
    figures["parameters_max_diff"] = parameters_difference(across.values, alone.values)


@click.command()
@click.option("--task", type=click.Choice(["digits", "chars"]), default="digits", show_default=True)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="How long --task chars trains.",
)
@click.option(
    "--checkpoint-dir", type=click.Path(file_okay=False), help="Where --task chars keeps its state."
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint there.")
@click.option("--model", type=click.Choice(MODELS), default="mlp", show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(2, MAX_WORKERS),
    default=2,
    show_default=True,
    help="Processes; each has one stage of the model.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Default: " + ", ".join(f"{epochs} for {model}" for model, epochs in EPOCHS.items()) + ".",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=0.1,
    show_default=True,
    help="Learning rate; the last quarter of the epochs runs at a tenth of it.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, writable=True),
    callback=writable,
    metavar="FILE",
    help="Write the figures to FILE.",
)
def train(
    task: str,
    minutes: float,
    checkpoint_dir: str | None,
    resume: bool,
    model: str,
    workers: int,
    epochs: int | None,
    batch_size: int,
    lr: float,
    seed: int,
    file: str | None,
) -> None:
    """Train a network on handwritten digits across processes, and check it.

    Stage 1 runs on worker 0, stage 2 on worker 1: forward by RPC, backward by one distributed pass,
    update by the distributed optimizer.  Then the same training runs in one process, and loss
    curves and final parameters are compared.

    With --task chars a small transformer learns to write on all workers at once, and prints what it writes.
    """
    if resume and checkpoint_dir is None:
        raise click.UsageError("--resume needs --checkpoint-dir.")
    if task == "chars":
        train_chars.follow(
            CharsPlan(workers, minutes, seed=seed, checkpoint_dir=checkpoint_dir, resume=resume),
            Console(),
        )
        return
    plan = Plan(model, workers, epochs or EPOCHS[model], batch_size, lr, seed)
    console = Console()
    figures: dict[str, Any] = {**vars(plan), "interrupted": False, "versions": versions()}
    exit_code = 0
    try:
        with Screen(console, plan.epochs) as screen:
            run_both(plan, screen, figures)
    except KeyboardInterrupt:
        console.print("Interrupted. What was done:")
        figures["interrupted"] = True
        exit_code = INTERRUPTED
    figures["wall_s"] = since_start_s()
    console.print(summary(figures))
    if file is not None:
        write_json(file, figures)
    raise click.exceptions.Exit(exit_code)
