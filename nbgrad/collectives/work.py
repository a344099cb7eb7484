"""Work: a collective that runs while its caller goes on (`async_op=True`).

Works of a group wait in its queue; a thread of the group runs them in order, and so does whoever waits for one of them or
calls the next blocking collective: whoever gets the turn first.
"""

import threading
from datetime import timedelta
from typing import Any

from nbgrad.collectives import rounds
from nbgrad.collectives.operation import Operation
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.errors import CollectiveTimeout
from nbgrad.rpc.future import Future


class Work:
    """A collective under way; PyTorch's `torch.distributed.Work`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group(init_method="tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> x = nb.ones(3)
    >>> work = dist.all_reduce(x, async_op=True)
    >>> work.wait()
    True
    >>> x
    tensor([1., 1., 1.])
    >>> dist.destroy_process_group()
    """

    def __init__(self, group: ProcessGroup, o: Operation, result: Any):
        self.group, self.operation = group, o
        self.value: Any = result  # or a function that gives it, once the operation is complete
        self.finished = threading.Event()
        self.error: BaseException | None = None
        self.future: Future | None = None
        self.lock = threading.Lock()

    def perform(self) -> None:
        """Run it; the caller has the group's turn."""
        try:
            self.group.perform(self.operation)
        except Exception as error:
            self.error = error
        except BaseException as error:  # Ctrl-C in the thread that waits
            self.error = error
            raise
        finally:
            self.operation.ends.run(self.error is None)
            with self.lock:
                self.finished.set()
            if self.future is not None:
                self.future.finish(self.outcome(), self.error)

    def is_completed(self) -> bool:
        """Whether it is over, well or not."""
        return self.finished.is_set()

    def is_success(self) -> bool:
        """Whether it is over, and well."""
        return self.finished.is_set() and self.error is None

    def exception(self) -> BaseException | None:
        """The error in which it ended, or None."""
        return self.error

    def wait(self, timeout: timedelta | float | None = None) -> bool:
        """Return True when it is complete.

        Parameters
        ----------
        timeout : timedelta or float, optional
            Seconds to wait at most; the collective goes on.  Without it the group's own time holds.

        Raises
        ------
        CollectiveTimeout, WorkerDied, DesyncError, ProcessGroupError
            As the collective itself.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if seconds is not None and seconds > 0:
            if not self.finished.wait(seconds):
                raise CollectiveTimeout(
                    f"a collective of the process group {self.group.name!r} is not complete after {seconds:g} s; it goes on"
                )
        elif not self.finished.is_set():
            help_out(self.group, self)
        if self.error is not None:
            raise self.error
        return True

    def result(self) -> Any:
        """The tensors that it wrote; waits for them."""
        self.wait()
        return self.outcome()

    def outcome(self) -> Any:
        """The result, or None after an error."""
        if self.error is not None:
            return None
        return self.value() if callable(self.value) else self.value

    def get_future(self) -> Future:
        """A future of `result()`."""
        with self.lock:
            if self.future is None:
                self.future = Future()
                if self.finished.is_set():
                    self.future.finish(self.outcome(), self.error)
            return self.future


def help_out(group: ProcessGroup, work: Work) -> None:
    """Run the queue until `work` is over."""
    group.take_turn()
    try:
        while not work.finished.is_set():
            group.queue.popleft().perform()
    finally:
        group.turn.release()


def submit(group: ProcessGroup, o: Operation, result: Any) -> Work:
    """Put an operation into the queue."""
    try:
        group.check()
        work = Work(group, o, result)
    except BaseException:
        o.ends.run(False)
        raise
    group.queue.append(work)
    group.block[rounds.IN_USE] = 1  # Note [Turns] T2
    if group.thread is None:
        group.thread = threading.Thread(target=serve, args=(group,), daemon=True)
        group.thread.name = f"nbgrad collectives of {group.name}"
        group.thread.start()
    group.waker.release()
    return work


def serve(group: ProcessGroup) -> None:
    """The thread: run what is in the queue, until the group ends."""
    while True:
        group.waker.acquire()
        if group.closed:
            return
        group.take_turn()
        try:
            if group.queue:
                group.queue.popleft().perform()
        finally:
            group.turn.release()


def run(group: ProcessGroup, o: Operation, async_op: bool, result: Any = None) -> Work | None:
    """Run an operation now, or put it into the queue."""
    if async_op:
        return submit(group, o, result)
    group.run(o)
    return None
