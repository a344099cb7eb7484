"""Learning-rate schedules: the rates of a step as a function of how many steps were made.

Each is a formula over the step count; PyTorch's names, arguments and values.  `ReduceLROnPlateau`, which watches a
measure instead, and schedules made of schedules have files of their own.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from nbgrad.autograd.outside import OutsideSteps
from nbgrad.optim.optimizer import Optimizer


class LRScheduler(OutsideSteps):
    """Base: sets `group["lr"]` of each group at construction and at each `step()`; a subclass defines `rate`.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates are set.
    last_epoch : int
        Steps made before; -1 at the start of training.

    Raises
    ------
    TypeError
        If `optimizer` is none.
    KeyError
        If training goes on (`last_epoch` is not -1) and the groups do not tell their "initial_lr".
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])  # what an earlier schedule found
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming an optimizer: load the "
                    f"optimizer's state_dict first, or start with last_epoch=-1"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.step()

    def rate(self, t: int, base: float, number: int) -> float:
        """Rate of a group after `t` steps, from its rate at the start."""
        raise NotImplementedError

    def next(self, t: int, now: float, base: float, number: int) -> float:
        """Rate of a group at step `t`, where it is `now`; schedules that only scale it can be chained."""
        return self.rate(t, base, number)

    def step(self, epoch: int | None = None) -> None:
        """Count one step (or go to step `epoch`), and set the rates."""
        t = self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for number, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs)):
            if epoch is None:
                group["lr"] = self.next(t, group["lr"], base, number)
            else:
                group["lr"] = self.rate(t, base, number)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Rates of the groups now."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs; functions are left out."""
        left_out = ("optimizer", "lr_lambdas")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict()` returned."""
        self.__dict__.update(state_dict)


class FactorLR(LRScheduler):
    """Base of schedules that are the first rate times `factor(t)`; each step scales the rate that it finds."""

    def factor(self, t: int) -> float:
        """Rate after `t` steps over the first rate."""
        raise NotImplementedError

    def rate(self, t: int, base: float, number: int) -> float:
        return base * self.factor(t)

    def next(self, t: int, now: float, base: float, number: int) -> float:
        before, after = self.factor(t - 1) if t > 0 else 1.0, self.factor(t)
        return now if after == before or before == 0.0 else now * (after / before)


class LambdaLR(LRScheduler):
    """The first rate times a function of the step.

    Parameters
    ----------
    lr_lambda : function(int) -> float, or list of them
        One for all groups, or one per group.

    Examples
    --------
    >>> import nbgrad as nb
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = nb.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable | list[Callable], last_epoch: int = -1
    ) -> None:
        n = len(optimizer.param_groups)
        self.lr_lambdas = (
            list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda] * n
        )
        if len(self.lr_lambdas) != n:
            raise ValueError(f"Expected {n} lr_lambdas, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, number: int) -> float:
        return base * self.lr_lambdas[number](t)


class MultiplicativeLR(LambdaLR):
    """Each step multiplies the rate by a function of the step."""

    def rate(self, t: int, base: float, number: int) -> float:
        return base * math.prod(self.lr_lambdas[number](k) for k in range(1, t + 1))

    def next(self, t: int, now: float, base: float, number: int) -> float:
        return now * self.lr_lambdas[number](t) if t > 0 else now


class StepLR(FactorLR):
    """The rate times `gamma` every `step_size` steps.

    Examples
    --------
    >>> import nbgrad as nb
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = nb.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [scheduler.step() or scheduler.get_last_lr()[0] for _ in range(4)]
    [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)


class MultiStepLR(FactorLR):
    """The rate times `gamma` at each of the steps `milestones`."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), t)


class ExponentialLR(FactorLR):
    """The rate times `gamma` at each step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.gamma**t


class ConstantLR(FactorLR):
    """The rate times `factor` for the first `total_iters` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0.0 <= factor <= 1.0:
            raise ValueError(
                f"Constant multiplicative factor expected to be between 0 and 1: {factor}"
            )
        self.early, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.early if t < self.total_iters else 1.0


class LinearLR(FactorLR):
    """The rate times a factor that goes from `start_factor` to `end_factor` in `total_iters` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0.0 < start_factor <= 1.0:
            raise ValueError(
                f"Starting multiplicative factor expected to be greater than 0 and less or equal to 1: {start_factor}"
            )
        if not 0.0 <= end_factor <= 1.0:
            raise ValueError(
                f"Ending multiplicative factor expected to be between 0 and 1: {end_factor}"
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        part = min(t, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * part


class PolynomialLR(FactorLR):
    """The rate times (1 - t / total_iters) ** power; 0 afterwards."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return (1.0 - min(t, self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """The rate follows a half cosine down to `eta_min` in `T_max` steps, and up again.

    References
    ----------
    Loshchilov and Hutter 2016, SGDR: stochastic gradient descent with warm restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, number: int) -> float:
        return self.eta_min + (base - self.eta_min) * self.height(t)

    def height(self, t: int) -> float:
        return (1 + math.cos(math.pi * t / self.T_max)) / 2

    def next(self, t: int, now: float, base: float, number: int) -> float:
        if t == 0:
            return now
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # from the bottom
            return now + (base - self.eta_min) * self.height(self.T_max - 1)
        return self.eta_min + (now - self.eta_min) * self.height(t) / self.height(t - 1)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines down to `eta_min`, the first in `T_0` steps, each `T_mult` times as long as the one before."""

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, t: float, base: float, number: int) -> float:
        length: float = self.T_0
        if self.T_mult == 1:
            t %= length
        else:
            while t >= length:
                t -= length
                length *= self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / length)) / 2
