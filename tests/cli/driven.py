"""Runs of `nbgrad train`'s loop in groups of workers that are there already, and in this process."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from nbgrad.cli.journal import Tail
from nbgrad.cli.train_alone import OneProcess
from nbgrad.cli.train_loop import drive
from nbgrad.cli.train_pipeline import Piped
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_server import Served
from nbgrad.cli.train_tasks import task_of
from nbgrad.cli.train_together import KINDS
from nbgrad.cli.train_workers import AcrossWorkers
from nbgrad.collectives import new_group
from nbgrad.parallel import ParameterServer
from tests.collectives.everywhere import everywhere

WORLDS = {"model": 3, "ddp": 3, "shared": 3, "hogwild": 2, "ps": 2, "pipeline": 3}


def small(strategy, **options):
    """A plan of a few steps; its last batch can't be cut evenly."""
    chosen = {"workers": WORLDS.get(strategy, 1), "epochs": 2, "batch_size": 250, "save_every": 4}
    return Plan(strategy=strategy, **(chosen | options))


def member(rank, world, plan, folder):
    """What a worker of the group does."""
    task = task_of(plan)
    if plan.strategy == "ps":
        trainers = new_group(range(1, world))
        if rank:
            drive(plan, task, Served(task, plan, rank, trainers), folder)
    elif plan.strategy == "pipeline":
        drive(plan, task, Piped(task, plan, rank), folder)
    else:
        drive(plan, task, KINDS[plan.strategy](task, plan, rank), folder)


def first(plan, folder):
    """What worker 0 does where the others only serve."""
    task = task_of(plan)
    drive(plan, task, AcrossWorkers(task, plan), folder)


def forget():
    """The parameter server's model."""
    ParameterServer.named.clear()


def run(plan, folder: Path, group=None):
    """(lines of the journal but the last, the last, parameters) of a run, in a group or here."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if group is None:
        task = task_of(plan)
        drive(plan, task, OneProcess(task, plan), folder)
    elif plan.strategy == "model":
        group.call(first, plan, folder)
    else:
        group.call(everywhere, member, plan, folder)
        group.call(forget)
    *lines, end = Tail(folder / "journal").read()
    with np.load(folder / "values.npz") as file:
        return lines, end, [file[name] for name in file.files]


def alone(plan, folder: Path):
    """The same training in this process."""
    return run(replace(plan, checkpoint_dir=None), folder)


def distance(found, wanted):
    """Largest difference over largest parameter, of the tensor where it is worst."""
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, wanted))
