"""Schedules made of schedules: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from nbgrad.autograd.outside import OutsideSteps
from nbgrad.optim.lr_scheduler.formulas import LRScheduler
from nbgrad.optim.optimizer import Optimizer


class Composed(OutsideSteps):
    """What both kinds share.

    Raises
    ------
    ValueError
        If there are no schedulers, or they belong to different optimizers.
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None) -> None:
        if not schedulers:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler, but got an empty list"
            )
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for number, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(
                    f"{type(self).__name__} expects all schedulers to belong to the same optimizer, but scheduler {number} "
                    f"belongs to another one"
                )
        self._schedulers = list(schedulers)
        self._last_lr: list[float] = schedulers[-1].get_last_lr()

    def get_last_lr(self) -> list[float]:
        """Rates of the groups now."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs."""
        own = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "_schedulers")}
        return {**own, "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict()` returned."""
        own = dict(state_dict)
        for scheduler, state in zip(self._schedulers, own.pop("_schedulers"), strict=True):
            scheduler.load_state_dict(state)
        self.__dict__.update(own)


class ChainedScheduler(Composed):
    """All schedulers at each step, one on top of the other.

    Examples
    --------
    >>> import nbgrad as nb
    >>> lr_scheduler = nb.optim.lr_scheduler
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=1.0)
    >>> half = lambda t: 0.5
    >>> parts = [lr_scheduler.MultiplicativeLR(optimizer, half) for _ in range(2)]
    >>> scheduler = lr_scheduler.ChainedScheduler(parts)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        super().__init__(schedulers, optimizer)

    def step(self) -> None:
        """One step of each."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class SequentialLR(Composed):
    """Schedulers one after the other; each starts at its milestone as if it were step 0.

    Parameters
    ----------
    optimizer : Optimizer
        Of all of them.
    schedulers : list
        In order.
    milestones : list of int
        Steps at which the next one takes over: one fewer than there are schedulers.

    Examples
    --------
    >>> import nbgrad as nb
    >>> lr_scheduler = nb.optim.lr_scheduler
    >>> optimizer = nb.optim.SGD([nb.zeros(1, requires_grad=True)], lr=1.0)
    >>> first = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=9)
    >>> then = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[2])
    >>> [scheduler.step() or scheduler.get_last_lr()[0] for _ in range(4)]
    [0.5, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        super().__init__(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
                f"points, but got number of schedulers {len(schedulers)} and the number of milestones to be "
                f"{len(milestones)}"
            )
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._schedulers[0].step(0)
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self) -> None:
        """One step of the scheduler whose turn it is."""
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            scheduler.step(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()
