"""Small programs for tests: run in processes of their own, watched by what they print."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0


@contextlib.contextmanager
def program(folder, text, *args, **environment):
    """A Python process that runs `text`; its stdout is a pipe, line by line."""
    script = folder / "program.py"
    if not script.exists():  # another program may be about to read it
        script.write_text(text)
    assert script.read_text() == text
    process = subprocess.Popen(
        [sys.executable, script, *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that Ctrl-C can be sent to all of it, as a terminal does
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        process.stderr.close()


def pids_of(line):
    """The process ids in a line of a program."""
    return [int(word) for word in line.split()]


def wait_gone(pids, seconds):
    """Those of the processes that still live after `seconds` at most; a zombie does not live."""
    end = time.monotonic() + seconds
    living = [pid for pid in pids if lives(pid)]
    while living and time.monotonic() < end:
        living = [pid for pid in living if lives(pid)]
    return living


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(pid):
    """Pids of all processes below `pid`."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def interrupt(pid):
    """Ctrl-C for one process only."""
    os.kill(pid, signal.SIGINT)
