"""Schedules that go up and down, and take the momentum the other way."""

import math
from typing import Any

from nbgrad.optim.lr_scheduler.formulas import LRScheduler
from nbgrad.optim.optimizer import Optimizer


def per_group(optimizer: Optimizer, name: str, value: Any) -> list[float]:
    """One value per group, from one for all or a list."""
    n = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * n
    if len(value) != n:
        raise ValueError(f"expected {n} values for {name}, got {len(value)}")
    return list(value)


def set_momentum(group: dict[str, Any], value: float) -> None:
    """The momentum of a group, by whichever name it goes there."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def has_momentum(optimizer: Optimizer) -> bool:
    return "momentum" in optimizer.defaults or "betas" in optimizer.defaults


class CyclicLR(LRScheduler):
    """Rates go between `base_lr` and `max_lr`, up in `step_size_up` steps and down in `step_size_down`.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates (and momenta) are set.
    base_lr, max_lr : float or list of float
        Bounds, for all groups or for each.
    step_size_up, step_size_down : int
        Steps of a half cycle; the second is as the first by default.
    mode : {"triangular", "triangular2", "exp_range"}
        Cycles of one height, of half the height of the one before, or whose height is multiplied by `gamma` each step.
    scale_fn : function(float) -> float, optional
        The height instead, of the cycle or of the step as `scale_mode` says.
    cycle_momentum : bool
        Whether the momentum goes from `max_momentum` down to `base_momentum` while the rate goes up.

    Raises
    ------
    ValueError
        For an unknown mode, or an optimizer without momentum.

    References
    ----------
    Smith 2015, Cyclical learning rates for training neural networks.

    Examples
    --------
    >>> import nbgrad as nb
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = nb.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> [scheduler.step() or scheduler.get_last_lr()[0] for _ in range(4)]
    [0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Any = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        if cycle_momentum and not has_momentum(optimizer):
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        bases = per_group(optimizer, "base_lr", base_lr)
        if last_epoch == -1:
            for group, base in zip(optimizer.param_groups, bases):
                group["lr"] = group["initial_lr"] = base
        self.max_lrs = per_group(optimizer, "max_lr", max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_mode = mode, gamma, scale_mode
        self.scale_fn = scale_fn
        self.cycle_momentum = cycle_momentum
        self.base_momentums = per_group(optimizer, "base_momentum", base_momentum)
        self.max_momentums = per_group(optimizer, "max_momentum", max_momentum)
        super().__init__(optimizer, last_epoch)

    def height(self, cycle: int, t: int) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(cycle if self.scale_mode == "cycle" else t)
        if self.mode == "triangular2":
            return 1 / 2.0 ** (cycle - 1)
        return self.gamma**t if self.mode == "exp_range" else 1.0

    def rate(self, t: int, base: float, number: int) -> float:
        cycle = math.floor(1 + t / self.total_size)
        x = 1.0 + t / self.total_size - cycle
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        part *= self.height(cycle, t)
        if self.cycle_momentum:
            top = self.max_momentums[number]
            momentum = top - (top - self.base_momentums[number]) * part
            set_momentum(self.optimizer.param_groups[number], momentum)
        return base + (self.max_lrs[number] - base) * part

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs; `scale_fn` is left out."""
        return {name: value for name, value in super().state_dict().items() if name != "scale_fn"}


class OneCycleLR(LRScheduler):
    """One cycle: up to `max_lr`, then down to almost nothing.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates (and momenta) are set.
    max_lr : float or list of float
        Top, for all groups or for each.
    total_steps : int, optional
        Steps of the whole; `epochs * steps_per_epoch` by default.
    pct_start : float
        Part of the steps that go up.
    anneal_strategy : {"cos", "linear"}
        Shape of the slopes.
    cycle_momentum : bool
        Whether the momentum goes down and up between `max_momentum` and `base_momentum` meanwhile.
    div_factor, final_div_factor : float
        The first rate is max_lr / div_factor, the last the first / final_div_factor.
    three_phase : bool
        Down as steeply as up, then a third phase to the last rate.

    Raises
    ------
    ValueError
        If an option is out of its range, or when more than `total_steps` are made.

    References
    ----------
    Smith and Topin 2017, Super-convergence: very fast training of neural networks using large learning rates.

    Examples
    --------
    >>> import nbgrad as nb
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = nb.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, pct_start=0.2)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "You must define either total_steps OR (epochs AND steps_per_epoch)"
                )
            total_steps = epochs * steps_per_epoch
        if total_steps <= 0:
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if cycle_momentum and not has_momentum(optimizer):
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.cycle_momentum = cycle_momentum
        up, last = pct_start * total_steps - 1, total_steps - 1.0
        # each phase: (its last step, where the rate goes, where the momentum goes)
        self.phases = [(up, "max_lr", "base"), (last, "min_lr", "max")]
        if three_phase:
            self.phases = [
                (up, "max_lr", "base"),
                (2 * up, "initial_lr", "max"),
                (last, "min_lr", "max"),
            ]
        tops = per_group(optimizer, "max_lr", max_lr)
        self.momentums = {
            "base": per_group(optimizer, "base_momentum", base_momentum),
            "max": per_group(optimizer, "max_momentum", max_momentum),
        }
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, tops):
                first = top / div_factor
                group["initial_lr"] = group["lr"] = first
                group["max_lr"], group["min_lr"] = top, first / final_div_factor
        super().__init__(optimizer, last_epoch)

    def anneal(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    def rate(self, t: int, base: float, number: int) -> float:
        if t > self.total_steps:
            raise ValueError(
                f"Tried to step {t} times. The specified number of total steps is {self.total_steps}"
            )
        group = self.optimizer.param_groups[number]
        start, here, momentum = 0.0, "initial_lr", "max"
        for number_of_phase, (end, there, next_momentum) in enumerate(self.phases):
            if t <= end or number_of_phase == len(self.phases) - 1:
                part = (t - start) / (end - start) if end > start else 1.0
                if self.cycle_momentum:
                    bounds = self.momentums[momentum][number], self.momentums[next_momentum][number]
                    set_momentum(group, self.anneal(*bounds, part))
                return self.anneal(group[here], group[there], part)
            start, here, momentum = end, there, next_momentum
        raise AssertionError("there is always a last phase")
