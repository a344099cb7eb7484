"""A task's model, cut into stages that may live on different workers.

    inputs ──▶ stage 0 ──▶ stage 1 ──▶ ... ──▶ outputs

A model is four blocks; n stages share them in order.  A block draws its parameters from the seed and its
own number, so a model is the same however it is cut and wherever its stages live.
"""

import numpy as np

import nbgrad as nb
from nbgrad import nn
from nbgrad.checkpoint.rng import rng_state, set_rng_state
from nbgrad.cli.train_task import N_BLOCKS, Task


class Stage(nn.Module):
    """Stage number `index` of `n_stages`: its share of the blocks.

    The random numbers of this process go on where they were.
    """

    def __init__(self, task: Task, index: int, n_stages: int, seed: int) -> None:
        super().__init__()
        before, blocks = rng_state(), []
        for number in np.array_split(np.arange(N_BLOCKS), n_stages)[index].tolist():
            nb.manual_seed(seed * N_BLOCKS + number)
            blocks.append(task.block(number))
        set_rng_state(before)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        """Inputs, or what the stage before made of them, to what the next stage takes."""
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # the loop says it when the loss is no number
            return self.blocks(x)

    def values(self) -> list[np.ndarray]:
        """Copies of the parameters' arrays."""
        return [p.detach().numpy().copy() for p in self.parameters()]


def whole(task: Task, seed: int) -> Stage:
    """The whole model."""
    return Stage(task, 0, 1, seed)


def filled(task: Task, seed: int, values: list[np.ndarray]) -> Stage:
    """The whole model with these values of its parameters, in their order."""
    model = whole(task, seed)
    with nb.no_grad():
        for p, value in zip(model.parameters(), values, strict=True):
            p.copy_(nb.from_numpy(value))
    return model
