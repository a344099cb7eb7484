"""`nbgrad train --task digits`: which digit has been written by hand; 8 x 8 pixels.

The settings were chosen on parts held out from the training images; the test images chose nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_task import Task
from nbgrad.data import digits

MODELS = ("mlp", "cnn")
EPOCHS = {"mlp": 30, "cnn": 15}
PIXELS, DIGITS, SIDE = 64, 10, 8
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
COOLING = 0.1  # the last quarter of the training runs at this part of the learning rate
NOISE = 0.2  # standard deviation, where 1 is a black pixel


class DigitsTask(Task):
    """Images, an MLP or a CNN, and the part of the test images that it names right."""

    unit = "images"
    strategy = "model"
    optimizer = optim.SGD
    options = {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}

    def __init__(self, plan: Plan) -> None:
        self.model, self.data = plan.model, digits()
        self.n_samples = len(self.data.train_x)

    def block(self, number: int) -> nn.Module:
        layers: dict[str, list[Callable[[], list[nn.Module]]]] = {
            "mlp": [
                lambda: [nn.Linear(PIXELS, 256), nn.ReLU()],
                lambda: [nn.Linear(256, 256), nn.ReLU()],
                lambda: [nn.Linear(256, 128), nn.ReLU()],
                lambda: [nn.Linear(128, DIGITS)],
            ],
            "cnn": [
                lambda: [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()],
                lambda: [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
                lambda: [nn.Flatten(), nn.Linear(512, 64), nn.ReLU()],
                lambda: [nn.Linear(64, DIGITS)],
            ],
        }
        return nn.Sequential(*layers[self.model][number]())

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return jitter(self.data.train_x[rows], rng), self.data.train_y[rows]

    def loss(self, outputs: nb.Tensor, targets: nb.Tensor) -> nb.Tensor:
        return nn.functional.cross_entropy(outputs, targets)

    def factor(self, step: int, part: float) -> float:
        return COOLING if part >= 0.75 else 1.0

    def report(self, model: nn.Module) -> dict[str, Any]:
        with nb.no_grad():
            named = model(nb.from_numpy(self.data.test_x)).numpy().argmax(axis=1)
        return {"test_accuracy": float(np.mean(named == self.data.test_y))}


def jitter(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images as they could have been scanned: half of them moved by up to a pixel, all of them noisy."""
    n = len(x)
    page = np.zeros((n, SIDE + 2, SIDE + 2), x.dtype)
    page[:, 1:-1, 1:-1] = x.reshape(n, SIDE, SIDE)
    moved = rng.random(n) < 0.5
    down, right = rng.integers(-1, 2, (2, n)) * moved
    rows = np.arange(1, SIDE + 1) + down[:, None]
    columns = np.arange(1, SIDE + 1) + right[:, None]
    images = page[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    noise = rng.standard_normal(x.shape, np.float32) * np.float32(NOISE)
    return images.reshape(n, SIDE * SIDE) + noise
