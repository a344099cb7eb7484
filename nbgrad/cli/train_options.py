"""The options of `nbgrad train`, and what is refused before anything starts: combinations without a meaning."""

import importlib.util
import json
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from nbgrad.checkpoint import Checkpoints
from nbgrad.checkpoint.atomic import replace
from nbgrad.cli.train_digits import EPOCHS, MODELS
from nbgrad.cli.train_picture import SUFFIXES
from nbgrad.cli.train_plan import Batches, Plan
from nbgrad.cli.train_task import N_BLOCKS, Task
from nbgrad.cli.train_tasks import TASKS
from nbgrad.errors import NbgradError

STRATEGIES = ("model", "ddp", "shared", "hogwild", "ps", "pipeline")
MAX_WORKERS = 16
SETTINGS = "run.json"  # in the folder of checkpoints: what run they are of


def finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A learning rate that is a number."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def writable(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A file that can be written at the end, looked at before the work starts."""
    if value is not None and not Path(value).absolute().parent.is_dir():
        raise click.BadParameter(f"the folder of {value!r} does not exist.")
    return value


def drawable(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A picture that can be drawn at the end."""
    if value is None:
        return None
    if Path(value).suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{value!r} does not end in {', '.join(SUFFIXES)}.")
    if importlib.util.find_spec("matplotlib") is None:
        raise click.BadParameter(
            "pictures are drawn by matplotlib, which is not installed: pip install 'nbgrad[plot]'."
        )
    return writable(context, parameter, value)


def file_type() -> click.Path:
    return click.Path(dir_okay=False, writable=True)


OPTIONS = (
    click.option("--task", type=click.Choice(list(TASKS)), default="digits", show_default=True),
    click.option(
        "--strategy",
        type=click.Choice(STRATEGIES),
        help="Default: model for digits, shared for the others.",
    ),
    click.option("--model", type=click.Choice(MODELS), help="Of --task digits.  Default: mlp."),
    click.option(
        "--workers",
        type=click.IntRange(2, MAX_WORKERS),
        default=2,
        show_default=True,
        help="Processes.",
    ),
    click.option(
        "--data",
        type=click.Path(exists=True, dir_okay=False, readable=True),
        help="A table (.csv, .tsv, .parquet, .npz) for --task table, a text for --task chars.",
    ),
    click.option(
        "--target", metavar="COLUMN", help="What is told from the others.  Default: the last one."
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Default: 30 (mlp), 15 (cnn), 100 (table), or --minutes.",
    ),
    click.option(
        "--minutes",
        type=click.FloatRange(min=0, min_open=True),
        help="How long to train, instead of --epochs.  Default for chars: 5.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        help="Of all workers together.",
    ),
    click.option(
        "--micro-batches",
        type=click.IntRange(min=1),
        help="Parts of a batch in a pipeline.  Default: 4.",
    ),
    click.option(
        "--lr",
        type=click.FloatRange(min=0, min_open=True),
        callback=finite,
        help="Learning rate at its highest.  Default: 0.1 (digits), 0.003 (chars), 0.001 (table).",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--checkpoint-dir",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        help="Where to save the state of the run.",
    ),
    click.option(
        "--save-every",
        type=click.IntRange(min=1),
        default=100,
        show_default=True,
        help="Steps between two checkpoints.",
    ),
    click.option("--resume", is_flag=True, help="Go on from the last checkpoint there."),
    click.option(
        "--check/--no-check",
        default=None,
        help="Train in one process, too, and compare.  Default: unless by --minutes.",
    ),
    click.option(
        "--plot",
        type=file_type(),
        callback=drawable,
        metavar="FILE.png",
        help="Draw the loss curves to a file.",
    ),
    click.option(
        "--json",
        "file",
        type=file_type(),
        callback=writable,
        metavar="FILE",
        help="Write the figures to FILE.",
    ),
)


def all_of_them(command: Callable) -> Callable:
    """Decorate a command with all options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def plan_of(options: dict[str, Any]) -> Plan:
    """The plan of these options.

    Raises
    ------
    click.UsageError
        If they don't go together.
    """
    task: type[Task] = TASKS[options["task"]]
    strategy = options["strategy"] or task.strategy
    refuse(options, strategy)
    model = options["model"] or MODELS[0]
    minutes = options["minutes"]
    if minutes is None and options["epochs"] is None:
        minutes = task.minutes
    epochs = EPOCHS[model] if options["task"] == "digits" else task.epochs
    chosen = {
        "strategy": strategy,
        "model": model,
        "minutes": minutes,
        "epochs": options["epochs"] or epochs,
        "lr": options["lr"] or task.lr,
        "micro_batches": options["micro_batches"] or 4,
    }
    known = {field.name for field in fields(Plan)}
    return Plan(**{name: v for name, v in options.items() if name in known} | chosen)


def refuse(options: dict[str, Any], strategy: str) -> None:
    """Raise where options don't go together."""
    task, workers = options["task"], options["workers"]
    if options["resume"] and options["checkpoint_dir"] is None:
        raise click.UsageError("--resume needs --checkpoint-dir.")
    if options["epochs"] is not None and options["minutes"] is not None:
        raise click.UsageError("--epochs and --minutes both say how long; give one of them.")
    if options["model"] is not None and task != "digits":
        raise click.UsageError(f"--model is of --task digits; --task {task} has one model.")
    if options["data"] is not None and task == "digits":
        raise click.UsageError(
            "--task digits has data of its own; --data goes with --task table or chars."
        )
    if options["target"] is not None and task != "table":
        raise click.UsageError("--target names a column of --task table.")
    if options["micro_batches"] is not None and strategy != "pipeline":
        raise click.UsageError("--micro-batches goes with --strategy pipeline.")
    if strategy in ("model", "pipeline") and workers > N_BLOCKS:
        raise click.UsageError(
            f"--strategy {strategy} gives each worker a stage, and the model has {N_BLOCKS}: at most --workers {N_BLOCKS}."
        )


def is_checked(plan: Plan, check: bool | None) -> bool:
    """Whether the run in one process follows."""
    if check and plan.minutes is not None:
        raise click.UsageError(
            "--check needs --epochs: runs of so many minutes differ in their numbers of steps."
        )
    return plan.minutes is None if check is None else check


def with_data(plan: Plan, task_of: Callable[[Plan], Task]) -> Task:
    """The task, its data read: what is wrong with a file is said before anything starts."""
    try:
        task = task_of(plan)
    except (ImportError, NbgradError, OSError, UnicodeDecodeError) as error:
        raise click.UsageError(str(error)) from error
    n = min(plan.batch_size, task.n_samples)
    if not len(Batches(plan, task)):
        raise click.UsageError(
            f"batches of {n} can't be shared out: --batch-size or the data are too small for --workers {plan.workers}"
            + (
                f" and --micro-batches {plan.micro_batches}."
                if plan.strategy == "pipeline"
                else "."
            )
        )
    return task


def prepare_folder(plan: Plan) -> None:
    """The folder of checkpoints: of this very run, or without any.

    Raises
    ------
    click.UsageError
        If it holds checkpoints of another run, or a run would overwrite them.
    """
    if plan.checkpoint_dir is None:
        return
    folder = Path(plan.checkpoint_dir)
    there = Checkpoints(folder, {}, 0, 1).steps()
    settings, mine = folder / SETTINGS, plan.identity()
    if there and not plan.resume:
        raise click.UsageError(
            f"{folder} holds checkpoints of a run: go on from them by --resume, or give another folder."
        )
    if there and settings.exists():
        theirs = json.loads(settings.read_text())
        for name, value in mine.items():
            if theirs.get(name) != value:
                raise click.UsageError(
                    f"{folder} holds checkpoints of another run: {option_of(name)} was {theirs.get(name)} there and is "
                    f"{value} here."
                )
    text = json.dumps(mine, indent=1) + "\n"
    replace(settings, lambda name: write(name, text))


def write(name: str, text: str) -> None:
    Path(name).write_text(text)


def option_of(name: str) -> str:
    """A setting as the command line has it."""
    return "--" + name.replace("_", "-")
