"""Recorder: collects the events of one worker, for any number of profiles at once.

ops, engines, rpc ── (kind, name, start_ns, flow) ──► Recorder ──► one list per profile
"""

import threading
import time
from typing import Any

from nbgrad import logs
from nbgrad.autograd.watch import watch
from nbgrad.profile.events import Event
from nbgrad.rpc import state
from nbgrad.rpc.trust import register

ALONE = "local"  # the worker's name where there is no group


class Recorder:
    """Called at the end of whatever is worth an event."""

    def __init__(self) -> None:
        self.lists: dict[str, list] = {}  # profile -> what it has so far
        self.open: tuple = ()
        self.log: Any = None  # the debug log, if it is on
        self.listeners: list = []  # functions of a flow, told of each call where it is made

    def __call__(self, kind: str, name: str, start_ns: int, flow: str = "") -> None:
        told = kind, name, start_ns, time.perf_counter_ns(), threading.get_ident(), flow
        for found in self.open:
            found.append(told)
        if kind == "call":
            for listener in self.listeners:
                listener(flow)
        if self.log is not None:
            self.log(kind, name, start_ns, flow)


recorder = Recorder()
lock = threading.Lock()


@register
def nbgrad_profile_begin(profile: str) -> None:
    """On a worker: begin to record for a profile."""
    with lock:
        recorder.lists[profile] = []
        switch()


@register
def nbgrad_profile_end(profile: str) -> list[Event]:
    """On a worker: end, and give what was recorded; nothing if it never began."""
    with lock:
        told = recorder.lists.pop(profile, [])
        switch()
    agent = state.State.agent
    worker = ALONE if agent is None else agent.session.names[agent.rank]
    return [Event(worker, *one) for one in told]


def switch() -> None:
    """All that is watched tells the recorder, or nobody."""
    recorder.open = tuple(recorder.lists.values())
    recorder.log = logs.tracer()
    watch(recorder if recorder.open else None)
    if state.State.agent is not None:
        state.State.agent.trace = recorder if recorder.open else recorder.log
