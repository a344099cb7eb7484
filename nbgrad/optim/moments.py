"""Moments: what the optimizers of Adam's family share, running means of the gradient and of its size."""

from typing import Any

import numpy as np

from nbgrad.optim.optimizer import Optimizer, zeros_for


class Moments(Optimizer):
    """Base of optimizers with `betas` and `eps`; a subclass defines `update` and asks `begin` for the state."""

    means: tuple[str, ...] = ("exp_avg", "exp_avg_sq")  # arrays of the state, in the kernel's order

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        for index, beta in enumerate(group["betas"]):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        if not group["eps"] >= 0.0:
            raise ValueError(f"Invalid epsilon value: {group['eps']}")

    def begin(self, state: dict[str, Any], p: np.ndarray) -> tuple[int, list[np.ndarray]]:
        """Count the step: its number, from 1 on, and the running means, 0 at the first."""
        if not state:
            state["step"] = 0
            state.update({name: zeros_for(p) for name in self.means})
        state["step"] += 1
        return int(state["step"]), [state[name].array for name in self.means]

    def decays(self, group: dict[str, Any], decoupled: bool = False) -> tuple[float, float]:
        """(what of the parameter enters the gradient, what of the parameter stays)."""
        decay = group["weight_decay"]
        return (0.0, 1.0 - float(group["lr"]) * decay) if decoupled else (decay, 1.0)

    def sign(self, group: dict[str, Any]) -> float:
        """Of the gradient: minus where the optimizer climbs."""
        return -1.0 if group["maximize"] else 1.0
