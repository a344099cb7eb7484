"""Signals for one process and no other: a pid that has been reaped soon belongs to another process, or to a thread of one."""

import contextlib
import functools
import os
import signal


@contextlib.contextmanager
def signals_to(pid):
    """`send(number)` for a process that lives now; ProcessLookupError once it has been reaped."""
    pidfd = os.pidfd_open(pid)
    try:
        yield functools.partial(signal.pidfd_send_signal, pidfd)
    finally:
        os.close(pidfd)
