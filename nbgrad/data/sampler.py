"""Samplers: in which order the items of a data set come."""

import math
from collections.abc import Iterator
from typing import Any

from nbgrad import collectives
from nbgrad.errors import RpcError
from nbgrad.ops import Generator, randint, randperm
from nbgrad.rpc import state


class Sampler:
    """Base of samplers: a subclass has `__iter__()`, which gives indices, and `__len__()`."""

    def __init__(self, data_source: Any = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} needs a method __iter__()")


class SequentialSampler(Sampler):
    """0, 1, 2, ..."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """All items in random order, a new one each time; or draws with replacement.

    Parameters
    ----------
    data_source : Dataset
        Something with a length.
    replacement : bool
        Draw each index from all.
    num_samples : int, optional
        How many; default: as many as there are items.
    generator : Generator, optional
        Default: this process's.
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        super().__init__(data_source)
        self.replacement, self.generator = replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        if self.replacement:
            drawn = randint(n, (self.num_samples,), generator=self.generator).tolist()
        else:
            drawn = []
            while len(drawn) < self.num_samples:
                drawn += randperm(n, generator=self.generator).tolist()
        return iter(drawn[: self.num_samples])

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Indices of another sampler, in lists of `batch_size`."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list]:
        batch: list = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)


class DistributedSampler(Sampler):
    """Every `num_replicas`-th item, beginning with `rank`: the share of one worker.

    All workers draw the same order (from `seed` and the epoch) and take as many items as the others; a few items come
    twice if they can't be shared evenly, or are left out with `drop_last`.

    Parameters
    ----------
    dataset : Dataset
        Something with a length.
    num_replicas, rank : int, optional
        Number of workers, and which one this is; default: those of the
        process group, or of the RPC group.
    shuffle : bool
        Draw an order; else 0, 1, 2, ...
    seed : int
        The same on all workers.
    drop_last : bool
        Leave items out instead of repeating some.

    Examples
    --------
    >>> from nbgrad.utils.data import DistributedSampler
    >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        super().__init__(dataset)
        if num_replicas is None or rank is None:
            found = whole_group()
            num_replicas = found[1] if num_replicas is None else num_replicas
            rank = found[0] if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        share = len(dataset) / num_replicas
        self.num_samples = math.floor(share) if drop_last else math.ceil(share)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        if self.shuffle:
            order = randperm(n, generator=Generator().manual_seed(self.seed + self.epoch)).tolist()
        else:
            order = list(range(n))
        while n and len(order) < self.total_size:
            order += order[: self.total_size - len(order)]
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another order for another epoch; the same call on all workers."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.epoch = state["epoch"]


def whole_group() -> tuple[int, int]:
    """(rank, number of workers) of this worker."""
    if collectives.is_initialized():
        return collectives.get_rank(), collectives.get_world_size()
    try:
        agent = state.agent()
    except RpcError:
        raise ValueError(
            "DistributedSampler needs num_replicas= and rank= where no group has been formed by init_process_group or init_rpc"
        ) from None
    return agent.rank, agent.world
