"""Events of all workers on one clock: calls, requests, sends, recvs and nodes of backward passes.

    with profile() as p:
        ...                                  the program, on this worker
    print(p.table());  p.export_chrome_trace("trace.json")

Every process of a machine reads the same monotonic clock, so events of different workers compare directly.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state


@dataclass(frozen=True)
class Event:
    """One thing that a worker did."""

    worker: str
    kind: str  # "call", "request", "send", "recv" or "backward"
    name: str
    start_ns: int
    end_ns: int
    thread: int

    @property
    def duration_us(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e3


class Recorder:
    """Collects the events of one worker; `agent.trace` while a profile is on.  `before`: what that was before."""

    def __init__(self, worker: str, before: Callable | None):
        self.worker, self.before = worker, before
        self.events: list[Event] = []

    def __call__(self, kind: str, name: str, start_ns: int) -> None:
        event = Event(
            self.worker, kind, name, start_ns, time.perf_counter_ns(), threading.get_ident()
        )
        self.events.append(event)
        if self.before is not None:
            self.before(kind, name, start_ns)


@dataclass
class Profile:
    """The events of a `profile()` block, of all workers, by start."""

    events: list[Event] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind]

    def table(self) -> str:
        """Per worker, kind and name: how many, their total and mean time."""
        sums: dict = {}
        for event in self.events:
            entry = sums.setdefault((event.worker, event.kind, event.name), [0, 0.0])
            entry[0] += 1
            entry[1] += event.duration_us
        lines = [
            f"{'worker':12s} {'kind':10s} {'name':32s} {'count':>7s} {'total us':>12s} {'mean us':>10s}"
        ]
        for (worker, kind, name), (count, total) in sorted(
            sums.items(), key=lambda item: -item[1][1]
        ):
            lines.append(
                f"{worker:12s} {kind:10s} {name[:32]:32s} {count:7d} {total:12.1f} {total / count:10.1f}"
            )
        return "\n".join(lines)

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write the events for a trace viewer (chrome://tracing, Perfetto)."""
        workers = sorted({event.worker for event in self.events})
        trace = [
            {
                "name": event.name,
                "cat": event.kind,
                "ph": "X",
                "ts": event.start_ns / 1e3,
                "dur": event.duration_us,
                "pid": workers.index(event.worker),
                "tid": event.thread,
            }
            for event in self.events
        ]
        names = [
            {"name": "process_name", "ph": "M", "pid": k, "args": {"name": worker}}
            for k, worker in enumerate(workers)
        ]
        with open(path, "w") as file:
            json.dump({"traceEvents": names + trace}, file)


def start() -> None:
    """On a worker: begin to record."""
    agent = state.agent()
    agent.trace = Recorder(agent.session.names[agent.rank], agent.trace)


def stop() -> list[Event]:
    """On a worker: end, and give what was recorded."""
    agent = state.agent()
    recorder = agent.trace
    if not isinstance(recorder, Recorder):
        return []
    agent.trace = recorder.before
    return recorder.events


@contextmanager
def profile() -> Iterator[Profile]:
    """Record what all workers of the group do inside of the block.

    Raises
    ------
    RpcError
        If RPC is not initialized.
    """
    world = state.agent().world
    found = Profile()
    for rank in range(world):
        rpc_api.rpc_sync(rank, start)
    try:
        yield found
    finally:
        parts = [rpc_api.rpc_sync(rank, stop) for rank in range(world)]
        own = ("start", "stop")
        events = [event for part in parts for event in part if event.name not in own]
        found.events = sorted(events, key=lambda event: event.start_ns)
