"""What one training run of `nbgrad train` is: its settings, and the batches that follow from them.

Everything random comes from the plan's seed and the numbers of epoch and batch, so the run across processes, the run in
one process and a run that goes on from a checkpoint see the same batches, bit for bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

ASYNCHRONOUS = (
    "hogwild",
    "ps",
)  # a worker steps when it likes: others' steps are not in its gradient


@dataclass(frozen=True)
class Plan:
    """Settings of a training run."""

    task: str = "digits"
    strategy: str = "model"
    model: str = "mlp"
    workers: int = 2
    epochs: int = 30
    minutes: float | None = None  # if given, how long it trains, however many epochs that are
    batch_size: int = 64  # of all workers together
    lr: float = 0.1
    seed: int = 0
    micro_batches: int = 4  # of a pipeline
    data: str | None = None
    target: str | None = None
    checkpoint_dir: str | None = None
    resume: bool = False
    save_every: int = 100  # steps

    @property
    def is_synchronous(self) -> bool:
        """Whether the workers take each step together."""
        return self.strategy not in ASYNCHRONOUS

    def fits(self, n_rows: int) -> bool:
        """Whether a batch of so many rows can be shared out."""
        if self.strategy in ("ddp", "shared"):
            return n_rows >= self.workers
        if self.strategy == "pipeline":  # it is cut as `Tensor.chunk` does
            size = -(-n_rows // self.micro_batches)
            return n_rows > 0 and -(-n_rows // size) == self.micro_batches
        return n_rows > 0

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run goes on from a checkpoint: all but how long and how often."""
        free = ("epochs", "minutes", "checkpoint_dir", "resume", "save_every")
        return {name: value for name, value in vars(self).items() if name not in free}


class Batches:
    """The batches of a plan: each epoch has all samples in a new order.

    Parameters
    ----------
    plan : Plan
        The settings.  A last batch that can't be shared out is left away.
    task : Task
        Which has `n_samples` and makes a batch of their numbers.
    """

    def __init__(self, plan: Plan, task: Any) -> None:
        self.plan, self.task = plan, task
        n, size = task.n_samples, plan.batch_size
        cuts = [(first, min(first + size, n)) for first in range(0, n, size)]
        self.cuts = [cut for cut in cuts if plan.fits(cut[1] - cut[0])]
        self.epoch, self.order = -1, np.arange(0)

    def __len__(self) -> int:
        return len(self.cuts)

    def get(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch: (inputs, targets)."""
        if epoch != self.epoch:
            rng = np.random.default_rng((self.plan.seed, epoch))
            self.epoch, self.order = epoch, rng.permutation(self.task.n_samples)
        first, last = self.cuts[number]
        rng = np.random.default_rng((self.plan.seed, epoch, number))
        return self.task.batch(self.order[first:last], rng)

    def in_epoch(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All batches of an epoch."""
        return (self.get(epoch, number) for number in range(len(self)))
