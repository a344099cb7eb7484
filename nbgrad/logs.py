"""Logs: what nbgrad does, through the standard `logging` module, under the logger named "nbgrad".

    NBGRAD_LOG=info python train.py       groups that form and end, threads that start, memory that runs out
    NBGRAD_LOG=debug python train.py      and each call, request, message of gradients and node of a backward pass

Lines go to standard error with the worker's name, unless the program has set up logging itself.  Without NBGRAD_LOG nbgrad
touches no logging, and only warnings are seen: that is what Python does.
"""

import logging
import os
import time
from collections.abc import Callable

VARIABLE = "NBGRAD_LOG"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

logger = logging.getLogger("nbgrad")
handlers: list[logging.Handler] = []  # the one of this process, once `configure` has made it


def level() -> int:
    """The level that the environment asks for, 0 if none.

    Raises
    ------
    ValueError
        If it is not one.
    """
    wanted = os.environ.get(VARIABLE, "").strip().lower()
    if wanted and wanted not in LEVELS:
        raise ValueError(f"{VARIABLE} is {wanted!r}: it can be {', '.join(LEVELS)}, or unset")
    return LEVELS.get(wanted, 0)


def configure(worker: str) -> None:
    """Log as the environment says, under this worker's name.

    Raises
    ------
    ValueError
        If NBGRAD_LOG is not a level.
    """
    wanted = level()
    if not wanted:
        return
    logger.setLevel(wanted)
    if not handlers and not logging.getLogger().handlers:
        handlers.append(logging.StreamHandler())
        logger.addHandler(handlers[0])
    for handler in handlers:
        text = f"%(asctime)s.%(msecs)03d %(levelname)s {worker} (pid %(process)d): %(message)s"
        handler.setFormatter(logging.Formatter(text, "%H:%M:%S"))


def tracer() -> Callable[..., None] | None:
    """What logs each call and request, or None: nothing is to be done for that."""
    return trace if logger.isEnabledFor(logging.DEBUG) else None


def trace(kind: str, name: str, start_ns: int, flow: str = "") -> None:
    """Something that began at `start_ns` has ended; what has the same `flow` is the other end of the same message."""
    logger.debug("%s %s: %.1f us", kind, name, (time.perf_counter_ns() - start_ns) / 1e3)
