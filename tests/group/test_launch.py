"""Helper processes start with the launcher's modules and without Ctrl-C."""

import os
import signal
import sys

from nbgrad.group import launch

SHOW = """
import os, signal, sys
blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
text = repr((sys.argv[2:], blocked, os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'], '{program}'))
os.write(int(sys.argv[1]), text.encode())
"""


def test_what_a_helper_starts_with(nothing_left, monkeypatch):
    monkeypatch.setattr(launch, "PROGRAM", SHOW)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what the user has set stays
    ours, theirs = os.pipe()
    helper = launch.start("watcher", theirs, [theirs])
    os.close(theirs)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with open(ours) as file:
        assert file.read() == repr((sys.path, True, "1", "3", "watcher"))
    assert helper.wait(10) == 0


def test_a_helper_that_lives_on_gives_no_warning(nothing_left, monkeypatch):
    monkeypatch.setattr(launch, "PROGRAM", "import os, sys; os.read(int(sys.argv[1]), 1)")
    theirs, ours = os.pipe()
    helper = launch.start("watcher", theirs, [theirs])
    pid = helper.pid
    os.close(theirs)
    del helper  # ResourceWarning is an error here
    os.close(ours)  # it ends
    os.waitpid(pid, 0)
