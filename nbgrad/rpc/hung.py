"""Hung: a worker that lives and does not run, as whoever has waited too long for it finds out.

SIGSTOP, Ctrl-Z, a debugger: the process is there, so nobody is told of a death, and its words in shared memory look like
those of a worker that computes for long.  Its state in /proc tells the two apart, so a slow worker is never taken for a hung one.
"""

from pathlib import Path
from typing import Any

STATES = {"T": "stopped by a signal", "t": "stopped by a debugger"}


def stopped(session: Any) -> str:
    """Which workers of the group do not run, and what to do; "" if all do, or nobody can tell.

    All of them: who is waited for may itself wait for another one.
    """
    told = []
    for rank, name in enumerate(session.names):
        pid = session.pid(rank)
        how = STATES.get(state_of(pid))
        if how:
            told.append(f"Worker {name!r} (pid {pid}) is {how}: `kill -CONT {pid}` lets it go on.")
    return " ".join(told)


def state_of(pid: int) -> str:
    """The letter of a process's state, "" if there is no such process or nothing can be opened.

    Examples
    --------
    >>> import os
    >>> state_of(os.getpid())
    'R'
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return text[text.rfind(")") + 2 :][:1]  # the name before it may hold anything
