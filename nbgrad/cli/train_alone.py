"""The training run that the other is checked against: all stages in one process, no RPC, no context."""

from pathlib import Path
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.cli.train_loop import drive
from nbgrad.cli.train_plan import MOMENTUM, WEIGHT_DECAY, Plan
from nbgrad.cli.train_stages import Stage


class OneProcess:
    """All stages in this process and plain `loss.backward()`; see `train_loop.System`."""

    def __init__(self, plan: Plan) -> None:
        stages = [Stage(plan.model, k, plan.workers, plan.seed) for k in range(plan.workers)]
        self.model = nn.Sequential(*stages)

    def set_rate(self, lr: float) -> None:
        parameters = self.model.parameters()
        self.optimizer = optim.SGD(parameters, lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        loss = nn.functional.cross_entropy(self.model(nb.from_numpy(x)), nb.from_numpy(y))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def logits(self, x: np.ndarray) -> np.ndarray:
        with nb.no_grad():
            return self.model(nb.from_numpy(x)).numpy()

    def values(self) -> list[np.ndarray]:
        return [p.detach().numpy() for p in self.model.parameters()]

    def figures(self) -> dict[str, Any]:
        return {}


def work(rank: int, plan: Plan, folder: str) -> None:
    """What the one process runs.  It is a fresh one, started as the workers are, with the same BLAS threads."""
    drive(plan, OneProcess(plan), Path(folder))
