"""The strategy `ps`: the model lives on worker 0, and the other workers train it when they like, each its own batches."""

from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import collectives, nn, parallel, rpc
from nbgrad.cli.train_loop import System, drive
from nbgrad.cli.train_placement import placements
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import whole
from nbgrad.cli.train_task import Task
from nbgrad.cli.train_tasks import task_of
from nbgrad.cli.train_together import STALE_STEPS, means


def model_of(plan: Plan) -> nn.Module:
    """On the server: the model."""
    return whole(task_of(plan), plan.seed)


class Served(System):
    """One of the trainers."""

    def __init__(self, task: Task, plan: Plan, rank: int, group: Any) -> None:
        self.task, self.group, self.placement = task, group, parallel.place()
        self.share = self.files = rank - 1, plan.workers - 1
        self.is_teller, self.meets_every = rank == 1, STALE_STEPS
        self.trainer = parallel.Trainer(
            0, model_of, task.optimizer, args=(plan,), lr=plan.lr, **task.options
        )
        self.rate = plan.lr

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        if rate != self.rate:
            self.trainer.optimizer.set_options(lr=rate)
            self.rate = rate
        inputs, targets = nb.from_numpy(x), nb.from_numpy(y)
        return self.trainer.train(lambda: self.task.loss(self.trainer(inputs), targets)).item()

    def meet(self, numbers: list[float]) -> list[float]:
        return means(numbers, self.group)

    def values(self) -> list[np.ndarray]:
        return [value.numpy() for value in self.trainer.state_dict().values()]

    def figures(self) -> dict[str, Any]:
        self.meet([0.0])  # the others' last steps, too
        return {"placement": placements(self.placement, self.group)}

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.trainer.state_dict(),
            "optimizer": self.trainer.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["model"])
        self.trainer.optimizer.load_state_dict(state["optimizer"])


def work(rank: int, plan: Plan, folder: str) -> None:
    """What each worker runs; worker 0 only serves."""
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=plan.workers)
    collectives.init_process_group(rank=rank, world_size=plan.workers)
    trainers = collectives.new_group(range(1, plan.workers))
    if rank > 0:
        task = task_of(plan)
        drive(plan, task, Served(task, plan, rank, trainers), Path(folder))
    else:
        parallel.place()
    collectives.destroy_process_group()
    rpc.shutdown()
