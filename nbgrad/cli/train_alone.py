"""The training run that the others are checked against: the whole model in one process, no RPC, no context."""

from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import optim
from nbgrad.cli.train_loop import System, drive
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import whole
from nbgrad.cli.train_task import Task
from nbgrad.cli.train_tasks import task_of


def set_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Let the optimizer go on at that learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


class OneProcess(System):
    """The whole model in this process and plain `loss.backward()`."""

    def __init__(self, task: Task, plan: Plan) -> None:
        self.task, self.model = task, whole(task, plan.seed)
        self.optimizer = task.optimizer(self.model.parameters(), lr=plan.lr, **task.options)

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        loss = self.task.loss(self.model(nb.from_numpy(x)), nb.from_numpy(y))
        self.optimizer.zero_grad()
        loss.backward()
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        return loss.item()

    def values(self) -> list[np.ndarray]:
        return self.model.values()

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def work(rank: int, plan: Plan, folder: str) -> None:
    """What the one process runs.  It is a fresh one, started as the workers are, with the same BLAS threads."""
    task = task_of(plan)
    drive(plan, task, OneProcess(task, plan), Path(folder))
