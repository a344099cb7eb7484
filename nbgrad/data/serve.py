"""What a worker process of a DataLoader runs: batches on demand, each with random numbers of its own."""

import mmap
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from nbgrad.data.dataset import IterableDataset
from nbgrad.data.slots import Shelf, Windows
from nbgrad.ops import manual_seed
from nbgrad.ops.random import seed_of
from nbgrad.ops.threads import set_num_threads

MAX_TEXT = 20_000  # characters of a traceback: it goes through the pipe
LOOK_S = 5.0  # how often an idle worker looks whether its parent lives


class WorkerInfo(NamedTuple):
    """What a loader's worker knows about itself."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


class Task(NamedTuple):
    """One batch to make, or a new epoch where `number` is negative."""

    epoch: int
    number: int
    indices: Any  # of the items; None: the next of a stream
    freed: list[int]  # slots


class Orders(NamedTuple):
    """What a worker is started with."""

    dataset: Any
    collate: Callable
    batch_size: int | None
    drop_last: bool
    init: Callable | None
    num_workers: int
    base_seed: int


_info: list[WorkerInfo] = []


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader: its number, how many there are, its seed and its data set; elsewhere None.

    An `IterableDataset` asks it which part of the stream is this worker's.

    Examples
    --------
    >>> from nbgrad.utils.data import get_worker_info
    >>> get_worker_info() is None
    True
    """
    return _info[0] if _info else None


def seed_all(seed: int) -> None:
    """The same numbers from nbgrad, NumPy's global generator and Python's."""
    manual_seed(seed)
    np.random.seed(seed % (1 << 32))  # noqa: NPY002 - data sets use the global one
    random.seed(seed)


class Server:
    """The worker's state."""

    def __init__(self, orders: Orders, loader: int) -> None:
        self.orders, self.loader, self.shelf = orders, loader, Shelf()
        self.base_seed = orders.base_seed
        self.stream: Iterator[Any] = iter(())

    def begin(self, base_seed: int) -> None:
        """A new epoch."""
        self.base_seed = base_seed
        if isinstance(self.orders.dataset, IterableDataset):
            self.stream = iter(self.orders.dataset)

    def batch(self, task: Task) -> Any:
        """One batch.

        Its random numbers follow from the epoch's seed and the batch's number alone: the same ones whoever makes it, and
        after a resumption.
        """
        seed_all(seed_of(self.base_seed, task.number))
        orders = self.orders
        if task.indices is None:
            items = self.from_stream()
            return orders.collate(items[0] if orders.batch_size is None else items)
        if orders.batch_size is None:
            return orders.collate(orders.dataset[task.indices])
        return orders.collate([orders.dataset[index] for index in task.indices])

    def from_stream(self) -> list:
        """Items of the next batch of the stream."""
        wanted = self.orders.batch_size or 1
        found: list = []
        for item in self.stream:
            found.append(item)
            if len(found) == wanted:
                return found
        if not found or (self.orders.drop_last and self.orders.batch_size is not None):
            raise Exhausted
        return found


class Exhausted(Exception):
    """A stream has come to its end."""


def main(worker_id: int, loader: int, orders: Orders | None, pipe: Connection) -> None:
    """The program of a worker of process `loader`: serve until the pipe says None or is closed.

    Without `orders` they come through the pipe, in memory that all workers of the loader share until they write into it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the loader's, which ends its workers
    set_num_threads(1)
    try:
        failure = None
        try:
            if orders is None:
                orders = Windows(mmap.MAP_PRIVATE).take(pipe, pipe.recv()[0])
            server = Server(orders, loader)
            introduce(orders, worker_id)
        except Exception as error:
            failure = told(error)
        while (fields := received(pipe)) is not None:
            task = Task(*fields)
            if failure is None:
                server.shelf.free(task.freed)
                serve(server, task, pipe)
            elif task.number >= 0:
                pipe.send((task.epoch, task.number, "error", failure))
    except (EOFError, ConnectionError):
        pass  # the loader has ended
    finally:
        pipe.close()
        os._exit(0)  # the data set may have threads; nobody waits for them


def introduce(orders: Orders, worker_id: int) -> None:
    """What the data set can ask for, and what the user wants done first."""
    seed = orders.base_seed + worker_id
    _info[:] = [WorkerInfo(worker_id, orders.num_workers, seed, orders.dataset)]
    seed_all(seed)
    if orders.init is not None:
        orders.init(worker_id)


def received(pipe: Connection) -> Any:
    """The next message; None when the parent has ended, which a forked sibling's copy of the pipe's end would hide."""
    parent = os.getppid()
    while not pipe.poll(LOOK_S):
        if os.getppid() != parent:
            return None
    return pipe.recv()


def serve(server: Server, task: Task, pipe: Connection) -> None:
    """Do one task."""
    try:
        if task.number < 0:
            server.begin(task.indices)
            return
        parcel = server.shelf.put(server.batch(task))
    except Exhausted:
        pipe.send((task.epoch, task.number, "end", None))
        return
    except Exception as error:
        pipe.send((task.epoch, task.number, "error", told(error)))
        return
    server.shelf.post(pipe, server.loader, (task.epoch, task.number, "batch"), parcel)
    if parcel.is_new:
        server.shelf.close(parcel.slot)


def told(error: Exception) -> tuple[type | None, str]:
    """Class and traceback of an error, so that they arrive."""
    kind = type(error)
    text = traceback.format_exc()[-MAX_TEXT:]
    found = getattr(sys.modules.get(kind.__module__), kind.__name__, None)
    return (kind if found is kind else None), text  # a class that pickle would not find stays here
