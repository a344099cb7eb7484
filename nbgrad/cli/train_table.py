"""`nbgrad train --task table`: a number from the other columns of a table.

The settings were chosen by cross-validation on the rows to train on; the rows to test on chose nothing.
"""

from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_task import N_BLOCKS, Task
from nbgrad.data import cars, table

WIDTH = 64
LAST = 0.02  # the learning rate falls to this part


class TableTask(Task):
    """Rows of a table, an MLP, and how much of the target's variance it explains in rows that it has not seen.

    Columns and target are shifted and scaled by mean and deviation of the rows to train on.
    """

    unit = "rows"
    epochs = 100
    lr = 1e-3
    optimizer = optim.AdamW
    options = {"weight_decay": 0.1}

    def __init__(self, plan: Plan) -> None:
        self.table = found = cars() if plan.data is None else table(plan.data, plan.target)
        self.n_samples = len(found.train_x)
        self.mean_x, self.scale_x = scales(found.train_x)
        self.mean_y, self.scale_y = scales(found.train_y)
        self.x = ((found.train_x - self.mean_x) / self.scale_x).astype(np.float32)
        self.y = ((found.train_y - self.mean_y) / self.scale_y).astype(np.float32)

    def block(self, number: int) -> nn.Module:
        first = len(self.table.inputs) if number == 0 else WIDTH
        if number == N_BLOCKS - 1:
            return nn.Sequential(nn.Linear(first, 1), nn.Flatten(0))
        return nn.Sequential(nn.Linear(first, WIDTH), nn.GELU())

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.x[rows], self.y[rows]

    def loss(self, outputs: nb.Tensor, targets: nb.Tensor) -> nb.Tensor:
        return nn.functional.mse_loss(outputs, targets)

    def factor(self, step: int, part: float) -> float:
        return LAST + (1 - LAST) * 0.5 * (1 + np.cos(np.pi * min(1.0, part)))

    def report(self, model: nn.Module) -> dict[str, Any]:
        """R2 and error on the rows to test on, the latter in units of the target."""
        x = ((self.table.test_x - self.mean_x) / self.scale_x).astype(np.float32)
        with nb.no_grad():
            told = model(nb.from_numpy(x)).numpy() * self.scale_y + self.mean_y
        y = self.table.test_y.astype(float)
        squares = float(np.mean((told - y) ** 2))
        spread = float(np.mean((y - y.mean()) ** 2))
        return {
            "target": self.table.target,
            "test_r2": 1.0 - squares / spread if spread else 0.0,
            "test_rmse": squares**0.5,
        }


def scales(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column; 1 where a column is the same in all rows."""
    deviation = values.std(axis=0, dtype=float)
    return values.mean(axis=0, dtype=float), np.where(deviation > 0, deviation, 1.0)
