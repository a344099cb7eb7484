"""The file of a profile for trace viewers: chrome://tracing, ui.perfetto.dev.

One process per worker, one row per thread; arrows lead from the sender of a message to where it came.
"""

import json
import os

from nbgrad.profile.events import OVERLAPPING, Event

HEADS = ("call", "send")  # kinds at which an arrow starts


def trace_events(events: list[Event]) -> list[dict]:
    """What the file lists, in the Trace Event Format."""
    workers = sorted({event.worker for event in events})
    threads: dict = {}
    for event in events:
        of_worker = threads.setdefault(event.worker, {})
        of_worker.setdefault(event.thread, len(of_worker))
    found = [
        {"name": "process_name", "ph": "M", "pid": k, "args": {"name": worker}}
        for k, worker in enumerate(workers)
    ]
    paired = {event.flow for event in events if event.flow and event.kind in HEADS}
    paired &= {event.flow for event in events if event.flow and event.kind in ("request", "recv")}
    for number, event in enumerate(events):
        start_us = event.start_ns / 1e3
        place = {
            "name": event.name,
            "cat": event.kind,
            "pid": workers.index(event.worker),
            "tid": threads[event.worker][event.thread],
        }
        if event.kind in OVERLAPPING:
            found.append({**place, "ph": "b", "ts": start_us, "id": number})
            found.append({**place, "ph": "e", "ts": event.end_ns / 1e3, "id": number})
            continue
        found.append({**place, "ph": "X", "ts": start_us, "dur": event.duration_us})
        if event.flow in paired:
            arrow = {**place, "cat": "message", "name": "message", "id": event.flow, "ts": start_us}
            found.append(
                {**arrow, "ph": "s"} if event.kind in HEADS else {**arrow, "ph": "f", "bp": "e"}
            )
    return found


def write(path: str | os.PathLike, events: list[Event]) -> None:
    """Write the file."""
    with open(path, "w") as file:
        json.dump({"traceEvents": trace_events(events), "displayTimeUnit": "ns"}, file)
