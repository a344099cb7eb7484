"""DataLoader: a data set in batches, put together in this process."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.data.dataset import IterableDataset
from nbgrad.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from nbgrad.errors import DtypeError
from nbgrad.ops import as_tensor, stack, tensor


def default_collate(batch: list) -> Any:
    """Items of a data set as one batch: tensors, arrays and numbers are stacked, containers go through.

    Raises
    ------
    DtypeError
        If an item is something else.

    Examples
    --------
    >>> from nbgrad.utils.data import default_collate
    >>> default_collate([(1.0, "a"), (2.0, "b")])
    [tensor([1., 2.]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch)
    if isinstance(first, np.ndarray):
        return stack([as_tensor(item) for item in batch])
    if isinstance(first, bool | int | float | np.generic):
        return tensor(np.asarray(batch) if isinstance(first, np.generic) else batch)
    if isinstance(first, str | bytes):
        return tuple(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, tuple | list):
        if len({len(item) for item in batch}) > 1:
            raise DtypeError(
                "each element in list of batch should be of equal size: give DataLoader a collate_fn= that pads them"
            )
        parts = [default_collate(list(part)) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise DtypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first).__name__}; "
        f"give DataLoader a collate_fn="
    )


class DataLoader:
    """Iterate over a data set in batches.

    Parameters
    ----------
    dataset : Dataset
        Numbered items, or an `IterableDataset`.
    batch_size : int or None
        Items of a batch; None gives single items.
    shuffle : bool
        A new random order in each epoch.
    sampler, batch_sampler : optional
        Orders of your own, of items or of lists of items.
    num_workers : int
        Accepted: batches are put together in this process, whatever it is.
    collate_fn : callable, optional
        Makes a batch of a list of items; default `default_collate`.
    drop_last : bool
        Leave out a last batch that is not full.
    generator : Generator, optional
        Where orders are drawn from; default: this process's.

    Raises
    ------
    ValueError
        If options exclude each other.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad.utils.data import DataLoader, TensorDataset
    >>> loader = DataLoader(TensorDataset(nb.zeros(5, 2), nb.arange(5)), batch_size=2)
    >>> [(x.shape, y.tolist()) for x, y in loader]
    [(Size([2, 2]), [0, 1]), (Size([2, 2]), [2, 3]), (Size([1, 2]), [4])]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        is_stream = isinstance(dataset, IterableDataset)
        if is_stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader with IterableDataset: expected unspecified shuffle, sampler and batch_sampler options, since a "
                "stream has its own order"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (
            batch_size != 1 or shuffle or sampler is not None or drop_last
        ):
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
        if sampler is None and not is_stream:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else None
            sampler = sampler or SequentialSampler(dataset)
        if batch_sampler is None and batch_size is not None and not is_stream:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset, self.sampler, self.batch_sampler = dataset, sampler, batch_sampler
        self.batch_size, self.drop_last = batch_size, drop_last
        self.num_workers, self.generator = num_workers, generator
        self.collate_fn = collate_fn or (default_collate if batch_size is not None else as_it_is)

    def __iter__(self) -> Iterator[Any]:
        collate, dataset = self.collate_fn, self.dataset
        if self.sampler is None:
            return self.stream()
        if self.batch_sampler is None:
            return (collate(dataset[index]) for index in self.sampler)
        return (collate([dataset[index] for index in batch]) for batch in self.batch_sampler)

    def stream(self) -> Iterator[Any]:
        """Batches of an IterableDataset."""
        if self.batch_size is None:
            yield from map(self.collate_fn, self.dataset)
            return
        batch: list = []
        for item in self.dataset:
            batch.append(item)
            if len(batch) == self.batch_size:
                yield self.collate_fn(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.collate_fn(batch)

    def __len__(self) -> int:
        if self.sampler is None:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)


def as_it_is(item: Any) -> Any:
    """A single item, arrays as tensors."""
    return as_tensor(item) if isinstance(item, np.ndarray) else item
