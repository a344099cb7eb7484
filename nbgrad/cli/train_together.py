"""Strategies where each worker has the whole model and data of its own: `ddp`, `shared` and `hogwild`.

ddp, shared   worker k: rows k/n to (k+1)/n of each batch ── backward ── mean gradient of all ── the same step
hogwild       worker k: the batches k, k + n, k + 2n ... ── backward ── its step, on parameters that all share
"""

from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import collectives, parallel
from nbgrad.cli.train_alone import set_rate
from nbgrad.cli.train_loop import System, drive
from nbgrad.cli.train_placement import placements
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import whole
from nbgrad.cli.train_task import Task
from nbgrad.cli.train_tasks import task_of

STALE_STEPS = 20  # steps between two meetings of workers that don't wait for each other


def means(numbers: list[float], group: Any = None) -> list[float]:
    """The means over the members of the group."""
    sums = nb.tensor(numbers, dtype=nb.float64)
    collectives.all_reduce(sums, group=group)
    return (sums / collectives.get_world_size(group)).tolist()


class Together(System):
    """What the three have in common."""

    def __init__(self, task: Task, plan: Plan, rank: int) -> None:
        self.task, self.rank, self.n = task, rank, plan.workers
        self.model = whole(task, plan.seed)
        self.optimizer = task.optimizer(self.model.parameters(), lr=plan.lr, **task.options)
        self.is_teller, self.files = rank == 0, (rank, plan.workers)

    def loss_of(self, model: Any, x: np.ndarray, y: np.ndarray) -> nb.Tensor:
        """This worker's part of the loss: the mean over the workers is the mean over the batch, however it was cut."""
        rows = slice(self.rank * len(x) // self.n, (self.rank + 1) * len(x) // self.n)
        loss = self.task.loss(model(nb.from_numpy(x[rows])), nb.from_numpy(y[rows]))
        weight = (rows.stop - rows.start) * self.n / len(x)
        return loss if weight == 1.0 else loss * weight

    def meet(self, numbers: list[float]) -> list[float]:
        return means(numbers)

    def values(self) -> list[np.ndarray]:
        return self.model.values()

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


class Ddp(Together):
    """`DistributedDataParallel`: gradients are averaged while backward runs; each steps its own copy."""

    def __init__(self, task: Task, plan: Plan, rank: int) -> None:
        super().__init__(task, plan, rank)
        self.ddp = parallel.DistributedDataParallel(self.model, gradient_as_bucket_view=True)

    def close(self) -> None:
        self.ddp.close()

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        loss = self.loss_of(self.ddp, x, y)
        self.optimizer.zero_grad()
        loss.backward()
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        return loss.item()

    def figures(self) -> dict[str, Any]:
        return {"placement": placements(self.ddp.placement)}


class Shared(Together):
    """`SharedParameters`: parameters exist once; each worker updates a slice of them from the gradients of all."""

    def __init__(self, task: Task, plan: Plan, rank: int) -> None:
        super().__init__(task, plan, rank)
        self.shared = parallel.SharedParameters(self.model, self.optimizer)

    def close(self) -> None:
        self.shared.close()

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        loss = self.loss_of(self.model, x, y)
        self.shared.zero_grad()
        loss.backward()
        set_rate(self.optimizer, rate)
        self.shared.step()
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        return self.shared.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.shared.load_state_dict(state)

    def figures(self) -> dict[str, Any]:
        moved = self.shared.statistics().bytes_moved
        return {"placement": placements(self.shared.placement), "bytes_moved": moved}


class Alongside(Together):
    """`Hogwild`: each steps the shared parameters when it likes."""

    def __init__(self, task: Task, plan: Plan, rank: int) -> None:
        super().__init__(task, plan, rank)
        self.share, self.meets_every = (rank, plan.workers), STALE_STEPS
        self.hogwild = parallel.Hogwild(self.model, self.optimizer)

    def close(self) -> None:
        self.hogwild.close()

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        self.hogwild.zero_grad()
        loss = self.task.loss(self.model(nb.from_numpy(x)), nb.from_numpy(y))
        loss.backward()
        set_rate(self.optimizer, rate)
        self.hogwild.step()
        return loss.item()

    def figures(self) -> dict[str, Any]:
        self.hogwild.barrier()  # the others' last steps, too
        staleness = self.hogwild.statistics().mean_staleness
        return {"placement": placements(self.hogwild.placement), "mean_staleness": staleness}


KINDS: dict[str, type[Together]] = {"ddp": Ddp, "shared": Shared, "hogwild": Alongside}


def work(rank: int, plan: Plan, folder: str) -> None:
    """What each worker runs."""
    collectives.init_process_group(rank=rank, world_size=plan.workers)
    task = task_of(plan)
    drive(plan, task, KINDS[plan.strategy](task, plan, rank), Path(folder))
    collectives.destroy_process_group()
