"""Patience: threads that wait for long say what they wait for, all of a worker in one line.

Costs nothing until a wait has lasted a whole slice (5 ms): only then it is noted at all.
"""

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

from nbgrad.logs import logger
from nbgrad.rpc.future import describe
from nbgrad.rpc.hung import stopped

VARIABLE = "NBGRAD_WAIT_WARNING_S"
DEFAULT_S = 30.0
MOST_NAMED = 3  # things waited for, and threads that wait for each


def warning_s() -> float:
    """Seconds after which a wait is logged, from the environment; 0 for never.

    Raises
    ------
    ValueError
        If the variable is not a number.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        return float(text) if text else DEFAULT_S
    except ValueError:
        raise ValueError(
            f"{VARIABLE} is {text!r}: it must be a number of seconds, 0 for never"
        ) from None


@dataclass
class Wait:
    """One thread's wait."""

    waited: Any
    thread: str
    since: float
    next_s: float

    @property
    def severity(self) -> int:
        """An idle worker waits inside shutdown() for as long as the others work."""
        return logging.INFO if getattr(self.waited, "is_idle", False) else logging.WARNING

    @property
    def what(self) -> tuple[str, int]:
        """What it is for, and the mask of workers that it needs; waits that agree in both are told as one."""
        waited = self.waited
        text = describe(getattr(waited, "text", type(waited).__name__))
        return text, getattr(waited, "targets", 0)


class Patience:
    """The waits of one agent's threads that have lasted a slice or more."""

    def __init__(self, agent: Any, after_s: float):
        self.agent, self.after_s = agent, after_s
        self.waits: dict[int, Wait] = {}  # per thread
        self.next_line = {logging.INFO: 0.0, logging.WARNING: 0.0}
        self.telling = threading.Lock()

    def look(self, waited: Any) -> None:
        """This thread still waits for `waited`."""
        if self.after_s <= 0:
            return
        me, now = threading.get_ident(), time.monotonic()
        wait = self.waits.get(me)
        if wait is None or wait.waited is not waited:
            thread = threading.current_thread().name
            self.waits[me] = Wait(waited, thread, now, now + self.after_s)
        elif now >= wait.next_s:
            with self.telling:
                if now >= self.next_line[wait.severity]:  # else a line tells of this wait already
                    self.tell(wait.severity, now)

    def forget(self) -> None:
        """This thread waits no more."""
        self.waits.pop(threading.get_ident(), None)

    def tell(self, severity: int, now: float) -> None:
        """One line for all threads, however many wait; none sooner than a period after it."""
        self.next_line[severity] = now + self.after_s
        alike: dict[tuple[str, int], list[Wait]] = {}
        waits = list(self.waits.values())
        waits.sort(key=lambda wait: wait.since)
        for wait in waits:
            seconds = now - wait.since
            if wait.severity == severity and seconds >= self.after_s / 2:
                wait.next_s = now + seconds  # 30 s, 60 s, 120 s ...
                alike.setdefault(wait.what, []).append(wait)
        groups = list(alike.items())
        told = [self.line(what, waits, now) for what, waits in groups[:MOST_NAMED]]
        more = [len(waits) for _, waits in groups[MOST_NAMED:]]
        if more:
            told.append(f"{sum(more)} more threads wait for {len(more)} other things")
        hung = stopped(self.agent.session)
        rest = f". {hung}" if hung else ""
        logger.log(
            severity, f"worker {self.agent.session.name!r} has waited {'; and '.join(told)}{rest}"
        )

    def line(self, what: tuple[str, int], waits: list[Wait], now: float) -> str:
        """How long which threads have waited for the same."""
        agent, (text, targets) = self.agent, what
        pressure = agent.calls.pressure
        there = [
            f"{name!r} (pid {agent.session.pid(rank)}) has {pressure.queued(rank)} calls of this worker unread or queued, "
            f"{pressure.queued_bytes(rank) / 1e6:.1f} MB in large ones"
            for rank, name in enumerate(agent.session.names)
            if targets >> rank & 1
        ]
        names = ", ".join([repr(wait.thread) for wait in waits[:MOST_NAMED]])
        if len(waits) > MOST_NAMED:
            names += ", ..."
        threads = f"thread {names}" if len(waits) == 1 else f"{len(waits)} threads ({names})"
        rest = f"; {', '.join(there)}" if there else ""
        return f"{now - waits[0].since:.0f} s in {threads} for {text}{rest}"
