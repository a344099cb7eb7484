"""The models of `nbgrad train`, cut into stages that may live on different workers.

    images ──▶ stage 0 ──▶ stage 1 ──▶ ... ──▶ logits of the ten digits

A model is four blocks; n stages share them in order.  A block draws its parameters from the seed and its
own number, so a model is the same however it is cut and wherever its stages live.
"""

from collections.abc import Callable

import numpy as np

import nbgrad as nb
from nbgrad import nn

MODELS = ("mlp", "cnn")
PIXELS, DIGITS = 64, 10


def block(model: str, number: int) -> nn.Module:
    """One of the four blocks, with fresh parameters."""
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
    return nn.Sequential(*layers[model][number]())


class Stage(nn.Module):
    """Stage number `index` of `n_stages`: its share of the blocks."""

    def __init__(self, model: str, index: int, n_stages: int, seed: int) -> None:
        super().__init__()
        blocks = []
        for number in np.array_split(np.arange(4), n_stages)[index].tolist():
            nb.manual_seed(seed * 4 + number)
            blocks.append(block(model, number))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        """Images, or what the stage before made of them, to what the next stage takes."""
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # the loop says it when the loss is no number
            return self.blocks(x)

    def values(self) -> list[np.ndarray]:
        """Copies of the parameters' arrays."""
        return [p.detach().numpy().copy() for p in self.parameters()]
