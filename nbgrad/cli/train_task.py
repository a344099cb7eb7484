"""What the tasks of `nbgrad train` have in common: data, a model of four blocks, a loss, and a figure at the end."""

from typing import Any, ClassVar

import numpy as np

import nbgrad as nb
from nbgrad import nn

N_BLOCKS = 4


class Task:
    """Base of the tasks; `plan` is the run's, and a file of the user is read here.

    Attributes
    ----------
    n_samples : int
        To train on.
    optimizer : type
        A local optimizer; with `options` beside the learning rate.
    """

    unit: ClassVar[str] = "samples"
    strategy: ClassVar[str] = "shared"  # the default
    epochs: ClassVar[int] = 30
    minutes: ClassVar[float | None] = None
    lr: ClassVar[float] = 0.1
    optimizer: ClassVar[type]
    options: ClassVar[dict[str, Any]] = {}
    n_samples: int

    def block(self, number: int) -> nn.Module:
        """One of the four blocks, with fresh parameters."""
        raise NotImplementedError

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(inputs, targets) of the samples with these numbers."""
        raise NotImplementedError

    def loss(self, outputs: nb.Tensor, targets: nb.Tensor) -> nb.Tensor:
        """The mean loss of a batch."""
        raise NotImplementedError

    def factor(self, step: int, part: float) -> float:
        """By what the learning rate is multiplied in a step, when that part of the training is over."""
        raise NotImplementedError

    def report(self, model: nn.Module) -> dict[str, Any]:
        """Figures of a trained model."""
        raise NotImplementedError
