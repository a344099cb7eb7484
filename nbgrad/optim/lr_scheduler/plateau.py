"""ReduceLROnPlateau: the rate drops when a measure has stopped to improve."""

import math
from typing import Any

from nbgrad.autograd.outside import OutsideSteps
from nbgrad.optim.optimizer import Optimizer


class ReduceLROnPlateau(OutsideSteps):
    """The rate times `factor` after more than `patience` steps without improvement.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates are set.
    mode : {"min", "max"}
        Whether less or more is better.
    factor : float
        Below 1.
    patience : int
        Steps without improvement that are let pass.
    threshold : float
        What counts as an improvement.
    threshold_mode : {"rel", "abs"}
        Relative to the best value, or absolute.
    cooldown : int
        Steps after a drop in which nothing is counted.
    min_lr : float or list of float
        Smallest rate, for all groups or for each.
    eps : float
        Drops by less are not made.

    Raises
    ------
    ValueError
        If an option is out of its range.

    Examples
    --------
    >>> import nbgrad as nb
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = nb.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 1.0, 1.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        n = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * n
        if len(self.min_lrs) != n:
            raise ValueError(f"expected {n} min_lrs, got {len(self.min_lrs)}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def is_better(self, a: float, best: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        margin = self.threshold
        if self.threshold_mode == "rel":
            margin = 0.0 if math.isinf(best) else best * self.threshold
        return sign * a < sign * best - margin

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Count one step with this value of the measure, and lower the rates if it is time."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value, self.best):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs):
                lower = max(group["lr"] * self.factor, least)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Rates of the groups now."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict()` returned."""
        self.__dict__.update(state_dict)
