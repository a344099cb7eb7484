"""The strategy `pipeline`: stage k on worker k, which work on different parts of a batch at the same time."""

from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import collectives, parallel, rpc
from nbgrad.cli.train_alone import set_rate
from nbgrad.cli.train_loop import System, drive
from nbgrad.cli.train_placement import placements
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import Stage
from nbgrad.cli.train_task import Task
from nbgrad.cli.train_tasks import task_of
from nbgrad.cli.train_together import means


class Piped(System):
    """This worker's stage of the pipeline."""

    def __init__(self, task: Task, plan: Plan, rank: int) -> None:
        self.task, self.n, self.n_micro_batches = task, plan.workers, plan.micro_batches
        self.is_teller, self.files = rank == 0, (rank, plan.workers)
        self.stage = Stage(task, rank, plan.workers, plan.seed)
        self.optimizer = task.optimizer(self.stage.parameters(), lr=plan.lr, **task.options)
        self.placement = parallel.place()
        self.pipeline = parallel.Pipeline(self.stage, plan.micro_batches, self.loss)
        self.n_rows = 0

    def loss(self, outputs: nb.Tensor, targets: nb.Tensor) -> nb.Tensor:
        """A micro-batch's loss: the mean over the micro-batches is the mean over the batch, however it was cut."""
        weight = len(targets) * self.n_micro_batches / self.n_rows
        loss = self.task.loss(outputs, targets)
        return loss if weight == 1.0 else loss * weight

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        self.n_rows = len(x)
        self.optimizer.zero_grad()
        loss = self.pipeline.step(nb.from_numpy(x), nb.from_numpy(y))
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        return 0.0 if loss is None else loss * self.n  # the last worker alone knows it

    def meet(self, numbers: list[float]) -> list[float]:
        return means(numbers)

    def values(self) -> list[np.ndarray]:
        parts: list = [None] * self.n
        collectives.all_gather_object(parts, self.stage.values())
        return [value for part in parts for value in part]

    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"placement": placements(self.placement)}
        if self.is_teller:
            found = self.pipeline.statistics()
            figures |= {"bubble": found.bubble, "ideal_bubble": found.ideal_bubble}
        return figures

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.stage.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stage.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def work(rank: int, plan: Plan, folder: str) -> None:
    """What each worker runs."""
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=plan.workers)
    collectives.init_process_group(rank=rank, world_size=plan.workers)
    task = task_of(plan)
    drive(plan, task, Piped(task, plan, rank), Path(folder))
    collectives.destroy_process_group()
    rpc.shutdown()
