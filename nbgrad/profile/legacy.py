"""Legacy: a profile whose events have the names and fields that PyTorch's older profiler gave to remote calls.

with nb.autograd.profiler_legacy.profile() as p:
    rpc.rpc_sync("worker1", f)
p.function_events       rpc_sync#f(worker0 -> worker1)                            on worker0
                        rpc_sync#f(worker0 -> worker1)#remote_op: aten::mul       on worker1
"""

import sys
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any

from nbgrad.profile import profiler
from nbgrad.profile.averages import Averages, averages
from nbgrad.profile.events import Event
from nbgrad.profile.recorder import recorder
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state
from nbgrad.rpc.internal import RPCExecMode, _build_rpc_profiling_key
from nbgrad.rpc.names import name_of

REMOTE = "#remote_op: "
INSIDE = ("forward", "backward", "user", "pass", "call")  # what a remote call is told to have done
MODES = {
    rpc_api.rpc_sync.__code__: RPCExecMode.SYNC,
    rpc_api.rpc_async.__code__: RPCExecMode.ASYNC,
    rpc_api.remote.__code__: RPCExecMode.REMOTE,
}


@dataclass(frozen=True)
class FunctionEvent(Event):
    """An event with PyTorch's fields; `node_id` is the rank of the worker where it happened, -1 without a group."""

    node_id: int = -1
    is_remote: bool = False
    is_async: bool = False
    cpu_children: list = field(default_factory=list, compare=False)

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    @property
    def count(self) -> int:
        """One: `key_averages` counts."""
        return 1

    @property
    def time_range(self) -> Any:
        """`start` and `end` in microseconds."""
        return SimpleNamespace(start=self.start_ns / 1e3, end=self.end_ns / 1e3)


class profile(profiler.profile):  # noqa: N801  (PyTorch's name)
    """As `nb.profile.profile`, with `function_events` and `key_averages()` under PyTorch's names.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad.autograd import profiler_legacy
    >>> with profiler_legacy.profile() as p:
    ...     y = nb.ones(2) * 3
    >>> [event.name for event in p.function_events]
    ['aten::mul']
    """

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        super().__init__(enabled, **options)
        self.calls: dict[str, tuple] = {}  # flow -> how, and which function
        self.ranks_by_name: dict[str, int] = {}
        self.own: str | None = None

    def __enter__(self) -> "profile":
        if self.enabled:
            recorder.listeners.append(self.note)
        return super().__enter__()  # type: ignore[return-value]

    def collect(self, guard: Any) -> None:
        """End the recording everywhere."""
        recorder.listeners.remove(self.note)
        self.ranks_by_name, agent = ranks(), state.State.agent
        self.own = None if agent is None else agent.session.names[agent.rank]
        super().collect(guard)

    def note(self, flow: str) -> None:
        """A call of this worker has been posted: the frames that did it know how it was called."""
        frame = sys._getframe(1)
        while frame is not None:
            mode = MODES.get(frame.f_code)
            if mode is not None:
                self.calls[flow] = mode, frame.f_locals["func"]
                return
            frame = frame.f_back  # type: ignore[assignment]

    @property
    def function_events(self) -> list:
        """The events, by their start."""
        return translated(self.events, self.calls, self.ranks_by_name, self.own)

    def key_averages(self, by_worker: bool = False, **options: Any) -> Averages:
        """Events of the same kind and name, added up."""
        return averages(self.function_events, by_worker)


def ranks() -> dict[str, int]:
    """Ranks of the workers by name."""
    agent = state.State.agent
    return {} if agent is None else {name: rank for rank, name in enumerate(agent.session.names)}


def translated(
    events: list[Event], calls: dict, ranks_by_name: dict, own: str | None
) -> list[FunctionEvent]:
    """Events with PyTorch's names: what this worker did, its calls, and what these did elsewhere."""
    requests = {event.flow: event for event in events if event.kind == "request"}
    found: list[FunctionEvent] = []
    taken: set[int] = set()
    for event in events:
        if event.kind != "rpc" or event.flow not in calls:
            continue
        taken.add(id(event))
        mode, function = calls[event.flow]
        request = requests.get(event.flow)
        ends = event.name.rpartition("(")[2].rstrip(")").split(" -> ")
        key = _build_rpc_profiling_key(mode, name_of(function), *ends)
        found.append(made(event, key, ranks_by_name, is_async=True))
        if request is None:
            continue
        for inner in events:
            is_inside = (inner.worker, inner.thread) == (request.worker, request.thread) and (
                request.start_ns <= inner.start_ns and inner.end_ns <= request.end_ns
            )
            if is_inside and inner.kind in INSIDE and id(inner) not in taken:
                taken.add(id(inner))
                name = f"{key}{REMOTE}{name_in_torch(inner)}"
                found.append(made(inner, name, ranks_by_name, is_remote=True))
    for event in events:
        if id(event) not in taken and event.kind in INSIDE[:-1] and own in (None, event.worker):
            found.append(made(event, name_in_torch(event), ranks_by_name))
    found.sort(key=lambda event: (event.start_ns, -event.end_ns))
    link(found)
    return found


def made(event: Event, name: str, ranks_by_name: dict, **facts: Any) -> FunctionEvent:
    values = {f.name: getattr(event, f.name) for f in fields(Event)}
    return FunctionEvent(
        **{**values, "name": name}, node_id=ranks_by_name.get(event.worker, -1), **facts
    )


def name_in_torch(event: Event) -> str:
    """`aten::mul` for operations; all else keeps its name."""
    return f"aten::{event.name}" if event.kind == "forward" else event.name


def link(events: list[FunctionEvent]) -> None:
    """`cpu_children`: the events of the same thread directly inside of one."""
    stacks: dict[tuple, list[FunctionEvent]] = {}
    for event in events:
        stack = stacks.setdefault((event.worker, event.thread), [])
        while stack and stack[-1].end_ns < event.end_ns:
            stack.pop()
        if stack:
            stack[-1].cpu_children.append(event)
        if not event.is_async:
            stack.append(event)
