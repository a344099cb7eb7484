"""The profiler: events of all workers on one clock.

    with nb.profile.profile() as p:
        ...                                  the program, on this worker
    print(p.key_averages().table());  p.export_chrome_trace("trace.json")

Every process of a machine reads the same monotonic clock, so events of different workers compare directly.
"""

import enum
import functools
import itertools
import os
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

from nbgrad.autograd.watch import Watch
from nbgrad.errors import NbgradError
from nbgrad.profile import chrome
from nbgrad.profile.averages import Average, Averages, averages
from nbgrad.profile.events import Event
from nbgrad.profile.recorder import nbgrad_profile_begin, nbgrad_profile_end
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state
from nbgrad.rpc.future import Future

next_number = itertools.count().__next__
OWN = nbgrad_profile_begin.__name__, nbgrad_profile_end.__name__  # calls of the profiler itself
IGNORED = {
    "use_cpu",
    "use_kineto",
    "activities",
    "record_shapes",
    "profile_memory",
    "with_stack",
    "with_flops",
    "with_modules",
}


class ProfilerActivity(enum.Enum):
    """What a profile may record: there is one kind of processor here."""

    CPU = "CPU"


class Profile:
    """Events, by their start."""

    def __init__(self, events: list[Event] | None = None) -> None:
        self.events: list[Event] = events or []

    @property
    def function_events(self) -> list[Event]:
        """The events, under PyTorch's name."""
        return self.events

    def of_kind(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind]

    def key_averages(self, by_worker: bool = False) -> Averages:
        """Events of the same kind and name, added up over all workers or for each of them.

        Examples
        --------
        >>> import nbgrad as nb
        >>> with nb.profile.profile() as p:
        ...     y = nb.ones(2) * 3 * 4
        >>> [(average.key, average.count) for average in p.key_averages()]
        [('mul', 2)]
        """
        return averages(self.events, by_worker)

    def total_average(self) -> Average:
        """All events in one."""
        total = Average("Total", "", "")
        for average in self.key_averages():
            total.count += average.count
            total.cpu_time_total += average.cpu_time_total
            total.self_cpu_time_total += average.self_cpu_time_total * (average.kind != "rpc")
        return total

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds that the workers spent in what was recorded."""
        return self.total_average().self_cpu_time_total

    def table(self, sort_by: str | None = "self_cpu_time_total", row_limit: int = 100) -> str:
        """Per worker, kind and name: how many, their total, own and mean time."""
        return self.key_averages(by_worker=True).table(sort_by, row_limit)

    __str__ = table

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write the events for a trace viewer (chrome://tracing, ui.perfetto.dev)."""
        chrome.write(path, self.events)


class profile(Profile):  # noqa: N801  (PyTorch's name)
    """Record, inside of a `with` block, what all workers of the group do, or this process alone if there is no group.

    Several workers may do so at once, each for itself.

    Parameters
    ----------
    enabled : bool
        Whether to record at all.
    **options
        Some of PyTorch's, without an effect here: `use_cpu`, `use_kineto`, `activities`, `record_shapes`, `profile_memory`,
        `with_stack`, `with_flops`, `with_modules`.

    Raises
    ------
    TypeError
        If there is no such option.
    RuntimeError
        If one object is entered twice.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(2, requires_grad=True)
    >>> with nb.profile.profile() as p:
    ...     (x * 3).sum().backward()
    >>> [event.name for event in p.events]
    ['mul', 'sum', 'backward', 'SumBackward0', 'MulBackward0']
    """

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        super().__init__()
        if unknown := set(options) - IGNORED:
            raise TypeError(
                f"profile() has no option {', '.join(sorted(unknown))}: it records all there is, from the beginning of the "
                f"block to its end"
            )
        self.enabled = enabled
        self.agent: Any = None
        self.ranks: list[int] = []
        self.number = ""

    def __enter__(self) -> "profile":
        if not self.enabled:
            return self
        if self.number:
            raise RuntimeError("profiler context manager is not reentrant; make a new profile()")
        self.number = f"{os.getpid()}.{next_number()}"
        agent = self.agent = state.State.agent
        others = (
            [] if agent is None else [rank for rank in range(agent.world) if rank != agent.rank]
        )
        try:
            for rank in others:
                self.ranks.append(rank)
                rpc_api.rpc_sync(rank, nbgrad_profile_begin, args=(self.number,))
        except BaseException:
            self.collect(suppress(NbgradError))
            raise
        nbgrad_profile_begin(self.number)
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self.enabled:
            # What the block raised tells more than a worker that can't be asked any more.
            self.collect(nullcontext() if kind is None else suppress(NbgradError))

    def collect(self, guard: Any) -> None:
        """End the recording everywhere."""
        found = nbgrad_profile_end(self.number)
        for rank in self.ranks:
            if state.State.agent is self.agent:  # the group has not been left inside of the block
                with guard:
                    found += rpc_api.rpc_sync(rank, nbgrad_profile_end, args=(self.number,))
        self.events = joined(found)


def joined(events: list[Event]) -> list[Event]:
    """By start; a call and the note that its reply has come make an event "rpc"; without the profiler's own calls."""
    replies = {event.flow: event.end_ns for event in events if event.kind == "reply"}
    found = [
        event for event in events if event.kind != "reply" and event.name.split("(")[0] not in OWN
    ]
    for event in list(found):
        if event.kind == "call" and event.flow in replies:
            end_ns = replies[event.flow]
            found.append(
                Event(
                    event.worker,
                    "rpc",
                    event.name,
                    event.start_ns,
                    end_ns,
                    event.thread,
                    event.flow,
                )
            )
    return sorted(found, key=lambda event: event.start_ns)


class record_function:  # noqa: N801  (PyTorch's name)
    """Give a name to a part of the program: an event of kind "user", for a `with` block or a decorated function.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.profile.profile() as p, nb.profile.record_function("forward"):
    ...     y = nb.ones(2) * 3
    >>> [(event.kind, event.name) for event in p.events]
    [('user', 'forward'), ('forward', 'mul')]
    """

    def __init__(self, name: str, args: Any = None) -> None:
        self.name = name
        self.starts: list[int] = []
        self.ends_on_exit = True

    def __enter__(self) -> "record_function":
        self.starts.append(time.perf_counter_ns())
        return self

    def __exit__(self, *error: Any) -> None:
        start_ns = self.starts.pop()
        if self.ends_on_exit:
            self.tell(start_ns)

    def tell(self, start_ns: int) -> None:
        record = Watch.record
        if record is not None:
            record("user", self.name, start_ns)

    def _call_end_callbacks_on_future(self, future: Future) -> Future:
        """Let the event end when the future is done, not with the block; a future of the same value.

        Raises
        ------
        RuntimeError
            At the second time.
        """
        if not self.ends_on_exit:
            raise RuntimeError("_call_end_callbacks_on_future can only be called once.")
        self.ends_on_exit, start_ns = False, self.starts[-1]

        def end(done: Future) -> Any:
            self.tell(start_ns)
            return done.value()

        return future.then(end)

    def __call__(self, function: Callable) -> Callable:
        name = self.name

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with record_function(name):
                return function(*args, **kwargs)

        return run
