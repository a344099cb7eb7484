"""DataLoader: a data set in batches, put together in this process or in worker processes."""

from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import Any

from nbgrad.data.collate import as_it_is, default_collate
from nbgrad.data.crew import Crew
from nbgrad.data.dataset import IterableDataset
from nbgrad.data.progress import Progress
from nbgrad.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from nbgrad.data.serve import Orders
from nbgrad.errors import LoaderError

AHEAD = 2  # batches that each worker makes before they are asked for


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
        Processes that put batches together ahead of time; 0: this process does, when a batch is asked for.  Batches of
        workers arrive in shared memory and are not copied; they are the same ones whatever the number of workers (above 0).
    collate_fn : callable, optional
        Makes a batch of a list of items; default `default_collate`.
    pin_memory, in_order
        Accepted as in PyTorch; batches come in order.
    drop_last : bool
        Leave out a last batch that is not full.
    timeout : float
        Seconds to wait for a batch of a worker; 0: as long as it lives.
    worker_init_fn : callable, optional
        `worker_init_fn(worker_id)` is called in each worker at its start.
    multiprocessing_context : str or context, optional
        How workers start: "forkserver" (default), "spawn", or "fork", which needs no pickle, and no threads here.
    generator : Generator, optional
        Where orders and the seeds of workers are drawn from; default: this process's.
    prefetch_factor : int, optional
        Batches that each worker makes ahead; default 2.
    persistent_workers : bool
        Keep the workers from one epoch to the next; else each epoch starts its own.

    Raises
    ------
    ValueError
        If options exclude each other.
    LoaderError
        While iterating: if a worker is killed, or the timeout is over.
    Exception
        While iterating: what the data set raised in a worker, with its traceback in the message.

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
        worker_init_fn: Callable | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
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
        check_workers(num_workers, prefetch_factor, persistent_workers, timeout)
        if sampler is None and not is_stream:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else None
            sampler = sampler or SequentialSampler(dataset)
        if batch_sampler is None and batch_size is not None and not is_stream:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset, self.sampler, self.batch_sampler = dataset, sampler, batch_sampler
        self.batch_size, self.drop_last = batch_size, drop_last
        self.num_workers, self.generator = num_workers, generator
        self.collate_fn = collate_fn or (default_collate if batch_size is not None else as_it_is)
        self.pin_memory, self.timeout, self.worker_init_fn = pin_memory, timeout, worker_init_fn
        self.prefetch_factor = AHEAD if prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.multiprocessing_context = multiprocessing_context
        self.crew: Crew | None = None
        self.progress = Progress()

    def __iter__(self) -> Iterator[Any]:
        return self.counted(self.from_workers if self.num_workers else self.from_here)

    def counted(self, batches: Callable) -> Iterator[Any]:
        """The batches of an epoch that a resumption has left, counted as they are handed out."""
        progress = self.progress = self.progress.begin(self)
        try:
            for batch in batches(progress):
                progress.n_batches += 1
                yield batch
        finally:
            progress.is_over = True

    def indices(self) -> Iterator[Any]:
        """What is to be fetched, batch by batch; None: the next items of a stream."""
        if self.sampler is None:
            return repeat(None)
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)

    # ------------------------------------------------------------ in this process

    def from_here(self, progress: Progress) -> Iterator[Any]:
        """Batches made here, each when it is asked for."""
        collate, dataset = self.collate_fn, self.dataset
        if self.sampler is None:
            return islice(self.stream(), progress.n_batches, None)
        indices = progress.left(self)
        if self.batch_sampler is None:
            return (collate(dataset[index]) for index in indices)
        return (collate([dataset[index] for index in batch]) for batch in indices)

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

    # ------------------------------------------------------------ in workers

    def from_workers(self, progress: Progress) -> Iterator[Any]:
        """Batches made by workers, ahead of time."""
        crew = self.crew = self.crew or self.hired(progress)
        timeout_s = self.timeout or None
        try:
            crew.begin(progress.base_seed)
            # a stream has no numbers: its workers make again what had been handed out
            first = 0 if self.sampler is None else progress.n_batches
            skipped = progress.n_batches - first
            indices = progress.left(self)
            n_given = n_taken = first
            n_ahead = self.prefetch_factor * self.num_workers
            at_end: set[int] = set()
            while True:
                for task in islice(indices, n_ahead - (n_given - n_taken)):
                    crew.give(n_given, task)
                    n_given += 1
                if n_taken == n_given or len(at_end) == self.num_workers:
                    return
                kind, content = crew.get(n_taken, timeout_s)
                if kind == "end":
                    at_end.add(n_taken % self.num_workers)
                n_taken += 1
                if kind == "error":
                    raise remote_error((n_taken - 1) % self.num_workers, *content)
                if kind == "batch" and skipped:
                    skipped -= 1
                elif kind == "batch":
                    yield content
                    content = None  # or its slot would be in use while the next one is made
        except LoaderError:
            self.dismiss()  # a crew with a dead member is of no use
            raise
        finally:
            if not self.persistent_workers:
                self.dismiss()

    def hired(self, progress: Progress) -> Crew:
        """New workers."""
        common = self.dataset, self.collate_fn, self.batch_size, self.drop_last
        orders = Orders(*common, self.worker_init_fn, self.num_workers, progress.base_seed)
        return Crew(orders, self.multiprocessing_context)

    def dismiss(self) -> None:
        """End the workers, if there are any."""
        if self.crew is not None:
            self.crew.stop()
            self.crew = None

    # ------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Where in its epoch this loader is: what was handed out, and what the order was drawn from."""
        state = self.progress.state_dict()
        if self.generator is not None:
            state["generator"] = self.generator.get_state()
        if hasattr(self.sampler, "state_dict"):
            state["sampler"] = self.sampler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next epoch is the rest of the one that the state is of; nothing, if that had no batch left."""
        self.progress = Progress.loaded(state)
        if self.generator is not None:
            self.generator.set_state(state["generator"])
        if hasattr(self.sampler, "load_state_dict"):
            self.sampler.load_state_dict(state["sampler"])

    def __len__(self) -> int:
        if self.sampler is None:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)


def check_workers(n: int, prefetch_factor: int | None, is_persistent: bool, timeout: float) -> None:
    """Refuse options that make no sense."""
    if n < 0:
        raise ValueError(
            f"num_workers option should be non-negative; use num_workers=0 to disable multiprocessing, got {n}"
        )
    if n == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing: let num_workers > 0, or leave it out"
        )
    if n == 0 and is_persistent:
        raise ValueError("persistent_workers option needs num_workers > 0")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"prefetch_factor option should be positive, got {prefetch_factor}")
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")


def remote_error(number: int, kind: type | None, text: str) -> Exception:
    """An error of a worker, of the class that it had there if that can be made of a text."""
    message = f"Caught an error in DataLoader worker process {number}.\nOriginal {text}"
    try:
        made = None if kind is None else kind(message)
    except Exception:
        made = None
    return made if isinstance(made, Exception) else LoaderError(message)
