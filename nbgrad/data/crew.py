"""Crew: the worker processes of a DataLoader, seen from the loader.

    loader ──Task(epoch, number, indices, freed slots)──▶ worker number % n
           ◀──(epoch, number, kind, content)────────────  batches in shared memory, see slots.py

Tasks go round, and each worker answers in order, so the batches come in order without a queue to sort.  The messages are
small whatever the batches are, so neither side ever waits for the other to read.
"""

import contextlib
import multiprocessing
import os
import time
import weakref
from multiprocessing import connection
from typing import Any

from nbgrad.data.serve import Orders, Task, main
from nbgrad.data.slots import Parcel, Shelf, Windows
from nbgrad.errors import LoaderError
from nbgrad.group import status

LEAVE_S = 2.0  # a worker that was told to end has ended; else it is killed


class Member:
    """One worker process."""

    def __init__(self, context: Any, number: int, orders: Orders | None) -> None:
        self.pipe, theirs = context.Pipe()
        self.windows = Windows()
        args = number, os.getpid(), orders, theirs
        self.process = context.Process(target=main, args=args, daemon=True)
        try:
            self.process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()

    def send(self, epoch: int, number: int, indices: Any) -> None:
        """Give it a task."""
        try:
            self.pipe.send(tuple(Task(epoch, number, indices, self.windows.returned())))
        except OSError:
            raise self.ended() from None

    def receive(self, timeout_s: float | None) -> tuple:
        """Its next message.

        Raises
        ------
        LoaderError
            If it has ended, or the time is over.
        """
        found = connection.wait([self.pipe, self.process.sentinel], timeout_s)
        if not found:
            raise LoaderError(
                f"DataLoader timed out after {timeout_s} seconds: worker {self.process.name} (pid {self.process.pid}) lives, "
                f"and has not finished its batch"
            )
        try:
            if self.pipe in found or self.pipe.poll(0):
                return self.pipe.recv()
        except (EOFError, OSError):
            pass
        raise self.ended()

    def ended(self) -> LoaderError:
        """What to say when it has ended by itself."""
        self.process.join(LEAVE_S)
        code = self.process.exitcode
        return LoaderError(
            f"DataLoader worker (pid {self.process.pid}) exited unexpectedly with {status.describe(code)}."
            f"{status.hint(code)} The batches that it was to make are lost: end the epoch, or start the program again."
        )


class Crew:
    """All workers of a loader.

    Parameters
    ----------
    orders : Orders
        What they have to know.
    context : multiprocessing context or str, optional
        How they start; default "forkserver": from a process without threads that has loaded nbgrad.
    """

    def __init__(self, orders: Orders, context: Any = None) -> None:
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context or "forkserver")
            if context.get_start_method() == "forkserver":
                context.set_forkserver_preload(["nbgrad"])
        self.epoch = 0
        self.members: list[Member] = []
        is_fork = context.get_start_method() == "fork"
        try:
            parcel = None if is_fork else pickled(orders)
            for number in range(orders.num_workers):
                self.members.append(Member(context, number, orders if is_fork else None))
            if parcel is not None:
                deliver(*parcel, self.members)
        except BaseException:
            stop(self.members)
            raise
        self.stop = weakref.finalize(self, stop, self.members)

    def begin(self, base_seed: int) -> int:
        """Start an epoch; what is under way from the one before is dropped when it arrives."""
        self.epoch += 1
        for member in self.members:
            member.send(self.epoch, -1, base_seed)
        return self.epoch

    def give(self, number: int, indices: Any) -> None:
        """Task `number` to its worker."""
        self.members[number % len(self.members)].send(self.epoch, number, indices)

    def get(self, number: int, timeout_s: float | None) -> tuple[str, Any]:
        """What became of a task: ("batch", value), ("end", None) or ("error", (class, traceback))."""
        member = self.members[number % len(self.members)]
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            epoch, found, kind, content = member.receive(left)
            if epoch == self.epoch:
                assert found == number, "a worker answers in order"
                is_batch = kind == "batch"
                return kind, member.windows.take(member.pipe, content) if is_batch else content
            if kind == "batch":
                member.windows.drop(member.pipe, content)

    def pids(self) -> list[int]:
        """Of the workers."""
        return [member.process.pid for member in self.members]


def pickled(orders: Orders) -> tuple[Shelf, Parcel]:
    """The data set and what belongs to it, once for all workers; its arrays are shared by them.

    Raises
    ------
    Exception
        If it can't be pickled.
    """
    shelf = Shelf()
    try:
        return shelf, shelf.put(orders)
    except Exception as error:
        error.add_note(
            "Workers of a DataLoader are other processes, so data set, collate_fn and worker_init_fn travel by pickle: use "
            'classes and functions at the top level of a module, or multiprocessing_context="fork" where no threads run.'
        )
        raise


def deliver(shelf: Shelf, parcel: Parcel, members: list[Member]) -> None:
    """Give the orders to all workers."""
    try:
        for member in members:
            try:
                shelf.post(member.pipe, member.process.pid, (), parcel)
            except OSError:
                raise member.ended() from None
    finally:
        shelf.close(parcel.slot)


def stop(members: list[Member]) -> None:
    """End the workers."""
    for member in members:
        with contextlib.suppress(OSError):
            member.pipe.send(None)
    end = time.monotonic() + LEAVE_S
    for member in members:
        if member.process.pid is None or member.process._parent_pid != os.getpid():
            continue  # a forked child has the crew as a copy
        member.process.join(max(0.0, end - time.monotonic()))
        if member.process.is_alive():
            member.process.kill()
            member.process.join()
        member.pipe.close()
        member.process.close()
