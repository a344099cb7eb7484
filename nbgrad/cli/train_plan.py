"""What one training run of `nbgrad train` is: its settings, and the batches that follow from them.

Everything random comes from the plan's seed, so the run across processes and the run in one process see
the same batches, bit for bit.  The settings were chosen on parts held out from the training images;
the test images chose nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nbgrad.data import Digits

EPOCHS = {"mlp": 30, "cnn": 15}
MAX_WORKERS = 4  # a model has so many blocks
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
COOLING = 0.1  # the last quarter of the epochs runs at this part of the learning rate
NOISE = 0.2  # standard deviation, where 1 is a black pixel
SIDE = 8  # pixels per row and column


@dataclass(frozen=True)
class Plan:
    """Settings of a training run."""

    model: str = "mlp"
    workers: int = 2
    epochs: int = 30
    batch_size: int = 64
    lr: float = 0.1
    seed: int = 0

    @property
    def cooling_epoch(self) -> int:
        """The first epoch at the lower learning rate."""
        return self.epochs - self.epochs // 4


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


def batches(plan: Plan, data: Digits) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Per epoch, the list of (images, labels): all training images in a new order."""
    rng = np.random.default_rng(plan.seed)
    for _ in range(plan.epochs):
        order = rng.permutation(len(data.train_x))
        parts = [order[k : k + plan.batch_size] for k in range(0, len(order), plan.batch_size)]
        yield [(jitter(data.train_x[part], rng), data.train_y[part]) for part in parts]
