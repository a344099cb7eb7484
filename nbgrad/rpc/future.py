"""Future: a result that is on its way, with callbacks; PyTorch's `torch.futures.Future`."""

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import GenericAlias
from typing import Any

from nbgrad.errors import RpcEncodeError, RpcTimeout, WorkerHung
from nbgrad.rpc.names import name_of
from nbgrad.rpc.twofold import with_runtime_error


class Future:
    """A result that another thread or worker will set, once.

    A future that comes from a remote call knows its agent: waiting then handles this worker's messages.

    Examples
    --------
    >>> from nbgrad.futures import Future
    >>> future = Future()
    >>> double = future.then(lambda done: done.value() * 2)
    >>> future.set_result(21)
    >>> double.wait()
    42
    """

    __class_getitem__: Any = classmethod(GenericAlias)  # `Future[int]`, in annotations
    __slots__ = (
        "agent",
        "callbacks",
        "deadline",
        "error",
        "finished",
        "lock_event",
        "on_failure",
        "result",
        "targets",
        "text",
        "timeout",
    )

    def __init__(self, *, devices: Any = None, agent: Any = None):
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.callbacks: list | None = None
        self.agent = agent
        self.deadline = self.timeout = 0.0  # 0: none
        self.on_failure: Any = None  # what else to call with this future if the call fails
        self.targets = 0  # mask of the workers that it waits for
        self.text: Any = "a future"  # what it waits for: see `describe`
        self.lock_event: threading.Event | None = None

    @classmethod
    def finished_with(cls, result: Any) -> "Future":
        """A future that has its result already."""
        self = cls()
        self.result, self.finished = result, True
        return self

    def done(self) -> bool:
        """Whether it has a result or an error."""
        return self.finished

    def wait(self) -> Any:
        """The result, when it is there.

        Raises
        ------
        Exception
            The error that was set instead; for remote calls also RpcTimeout and WorkerDied.
        """
        if not self.finished:
            self.sleep()
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            del self  # or the error would hold this frame, and this frame the error

    def sleep(self) -> None:
        if self.agent is not None:
            self.agent.wait(self)
            return
        event = self.lock_event
        if event is None:
            event = self.lock_event = threading.Event()
        agent = waiting_agent()
        while not self.finished:
            if agent is not None:
                agent.wait(self)
            else:
                event.wait(0.05)

    def value(self) -> Any:
        """The result of a finished future.

        Raises
        ------
        RuntimeError
            If it is not finished.
        """
        if self.error is not None:
            try:
                raise self.error
            finally:
                del self  # as in `wait`
        if not self.finished:
            raise RuntimeError(
                "value() of a future that is not done: call wait(), or look at done() first"
            )
        return self.result

    def set_result(self, result: Any) -> None:
        """Finish with a result."""
        self.finish(result, None)

    def set_exception(self, error: BaseException) -> None:
        """Finish with an error, which `wait` raises."""
        if not isinstance(error, BaseException):
            raise TypeError(f"{error!r} is of type {type(error).__name__}, not an Exception.")
        self.finish(None, error)

    def finish(self, result: Any, error: BaseException | None) -> None:
        callbacks = self.settle(result, error)
        run_callbacks(self, callbacks or ())
        agent = self.agent or waiting_agent()
        if agent is not None:
            agent.changed()

    def settle(self, result: Any, error: BaseException | None) -> list | None:
        """Finish without running callbacks, which are returned; for the agent, whose waiters look by themselves."""
        if self.finished:
            raise RuntimeError(
                "Future can only be marked completed once: it already has a result or an error"
            )
        self.result, self.error = result, error
        self.finished = True
        self.deadline = 0.0
        if self.lock_event is not None:
            self.lock_event.set()
        callbacks, self.callbacks = self.callbacks, None
        return callbacks

    def then(self, callback: Callable[["Future"], Any]) -> "Future":
        """A future of what `callback(this future)` returns; it runs when this one is done, at once if it is.

        What the callback raises is this future's error, of its type and a RuntimeError as well.

        Raises
        ------
        TypeError
            If it can't be called.
        """
        check_callback("then", callback)
        child = Future(agent=self.agent)

        def run(done: Future) -> None:
            try:
                child.set_result(callback(done))
            except Exception as error:
                child.set_exception(with_runtime_error(error))

        self.add_done_callback(run)
        return child

    def add_done_callback(self, callback: Callable[["Future"], Any]) -> None:
        """Call `callback(this future)` when it is done; errors in it are printed, not raised.

        Raises
        ------
        TypeError
            If it can't be called.
        """
        check_callback("add_done_callback", callback)
        if not self.finished:
            callbacks = self.callbacks
            if callbacks is None:
                callbacks = self.callbacks = []
            callbacks.append(callback)
            if not self.finished or callbacks is not self.callbacks:
                return  # `finish` has it now, or will
            self.callbacks = None
        run_callbacks(self, (callback,))

    def __reduce__(self) -> Any:
        raise RpcEncodeError(
            "Can not pickle torch.futures.Future, or nbgrad's: it is the promise of one process; send its value"
        )


def check_callback(name: str, callback: Any) -> None:
    """Raise TypeError for what can't be called, at once and where it was given."""
    if not callable(callback):
        raise TypeError(
            f"{name}(): incompatible function arguments: a function of the future is wanted, got {callback!r}"
        )


def run_callbacks(future: Future, callbacks: Iterable) -> None:
    """Call them all; an error in one is printed, and hurts neither the others nor whoever finished the future."""
    for callback in callbacks:
        try:
            callback(future)
        except Exception:
            traceback.print_exc()


agents: list = []  # the agent of this process, if there is one


def waiting_agent() -> Any:
    return agents[-1] if agents else None


def collect_all(futures: Sequence[Future]) -> Future:
    """A future of the list of all these futures, done when all are done, or with the error of the first call that fails.

    With an error that `set_exception` set it is done when all are done, and has the first of these errors.

    Examples
    --------
    >>> from nbgrad.futures import Future, collect_all
    >>> parts = [Future(), Future()]
    >>> whole = collect_all(parts)
    >>> for n, part in enumerate(parts):
    ...     part.set_result(n)
    >>> [part.value() for part in whole.wait()]
    [0, 1]
    """
    return collected(futures, lambda done: done.agent is not None)


def collected(futures: Sequence[Future], ends: Callable[[Future], bool]) -> Future:
    """As `collect_all`: an error ends it where `ends(future that has it)`."""
    whole = Future(agent=next((f.agent for f in futures if f.agent is not None), None))
    left = [len(futures)]
    lock = threading.Lock()

    def one_done(done: Future) -> None:
        error = done.error if done.error is not None and ends(done) else None
        with lock:
            if left[0] <= 0:  # an error has ended it
                return
            left[0] = 0 if error is not None else left[0] - 1
            last = left[0] == 0
        if last:
            error = error or next((f.error for f in futures if f.error is not None), None)
            whole.finish(None if error is not None else list(futures), error)

    if not futures:
        whole.set_result([])
    for future in futures:
        future.add_done_callback(one_done)
    return whole


def wait_all(futures: Sequence[Future]) -> list:
    """Values of all futures; the first error is raised at once, without waiting for the others."""
    collected(futures, lambda done: True).wait()
    return [future.value() for future in futures]


def describe(text: Any) -> str:
    """What is waited for, in words: text is a str, or (function, name of the worker where it runs)."""
    return text if type(text) is str else f"{name_of(text[0])} on worker {text[1]!r}"


def is_late(future: Future) -> bool:
    """Whether the future's deadline has passed."""
    return future.deadline > 0 and time.monotonic() > future.deadline


def lateness(future: Future, hung: str = "") -> RpcTimeout:
    """What those are told who wait for a future that is late.  `hung`: what is known of the workers that it waits for."""
    return timeout_error(
        f"RPCErr:1:RPC ran for more than set timeout ({int(future.timeout * 1000)} ms) and will now be marked with an "
        f"error: {describe(future.text)}. The function may still be running there; its result will be dropped. Give the call "
        f"a longer timeout (0 waits for ever) if it needs it.",
        hung,
    )


def timeout_error(text: str, hung: str) -> RpcTimeout:
    """RpcTimeout, or WorkerHung where a worker is known to be stopped."""
    return WorkerHung(f"{text} {hung}") if hung else RpcTimeout(text)
