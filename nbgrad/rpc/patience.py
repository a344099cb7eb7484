"""Patience: a thread that waits for long says what it waits for.

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
    since: float
    next_s: float


class Patience:
    """The waits of one agent's threads that have lasted a slice or more."""

    def __init__(self, agent: Any, after_s: float):
        self.agent, self.after_s = agent, after_s
        self.waits: dict[int, Wait] = {}  # per thread

    def look(self, waited: Any) -> None:
        """This thread still waits for `waited`."""
        if self.after_s <= 0:
            return
        me, now = threading.get_ident(), time.monotonic()
        wait = self.waits.get(me)
        if wait is None or wait.waited is not waited:
            self.waits[me] = Wait(waited, now, now + self.after_s)
        elif now >= wait.next_s:
            wait.next_s = now + (now - wait.since)  # 30 s, 60 s, 120 s ...
            self.tell(waited, now - wait.since)

    def forget(self) -> None:
        """This thread waits no more."""
        self.waits.pop(threading.get_ident(), None)

    def tell(self, waited: Any, seconds: float) -> None:
        agent = self.agent
        what = describe(getattr(waited, "text", type(waited).__name__))
        targets, pressure = getattr(waited, "targets", 0), agent.calls.pressure
        there = [
            f"{name!r} (pid {agent.session.pid(rank)}) has {pressure.queued(rank)} calls of this worker unread or queued, "
            f"{pressure.queued_bytes(rank) / 1e6:.1f} MB in large ones"
            for rank, name in enumerate(agent.session.names)
            if targets >> rank & 1
        ]
        rest = f"; {', '.join(there)}" if there else ""
        hung = stopped(agent.session)
        rest += f". {hung}" if hung else ""
        # An idle worker waits inside shutdown() for as long as the others work.
        severity = logging.INFO if getattr(waited, "is_idle", False) else logging.WARNING
        logger.log(
            severity,
            f"worker {agent.session.name!r} has waited {seconds:.0f} s in thread {threading.current_thread().name!r} for "
            f"{what}{rest}",
        )
