"""The supervisor: deaths reach sleepers at once, and nobody outlives the group."""

import contextlib
import os
import signal
import statistics
import time
from multiprocessing import get_context

import pytest

from nbgrad.errors import ProcessExitedException
from nbgrad.group import death, join, spawn
from nbgrad.shm import futex
from nbgrad.shm.layout import EPOCH
from tests.signals import signals_to

ROUNDS = 3
SECOND_NS = 1_000_000_000


def sleep_until_death(index, pipe):
    """Worker 1 waits to be killed, the others sleep without looking until somebody wakes them."""
    session = join(f"w{index}", index, 3)
    pipe.send((index, os.getpid()))
    while index == 1:
        signal.pause()
    while death.first_dead(session.segment, session.layout) < 0:
        futex.wait(session.block + EPOCH, 0, 20 * SECOND_NS)
    pipe.send((index, time.monotonic_ns()))
    session.check()


def test_survivors_are_woken_by_a_death(nothing_left):
    waits_ms = []
    for _ in range(ROUNDS):
        ours, theirs = get_context("spawn").Pipe()
        group = spawn(sleep_until_death, (theirs,), nprocs=3, join=False)
        pids = dict(ours.recv() for _ in range(3))
        start = time.monotonic_ns()
        with signals_to(pids[1]) as send:
            send(signal.SIGKILL)
        ends = dict(ours.recv() for _ in range(2))
        waits_ms += [(end - start) / 1e6 for end in ends.values()]
        with pytest.raises(
            ProcessExitedException, match="process 1 terminated with signal SIGKILL"
        ):
            group.join()
        ours.close()
        theirs.close()
    assert statistics.median(waits_ms) < 100.0  # the bar for p99 on a quiet machine


def never_look(index, pipe):
    """A member that neither looks for deaths nor heeds SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    join(f"w{index}", index, 2)
    pipe.send(index)
    while True:
        signal.pause()


def test_members_that_never_look_are_killed_after_the_grace(nothing_left):
    ours, theirs = get_context("spawn").Pipe()
    group = spawn(never_look, (theirs,), nprocs=2, join=False)
    assert {ours.recv(), ours.recv()} == {0, 1}
    start = time.monotonic()
    group.processes[0].kill()
    with pytest.raises(ProcessExitedException, match="process 0 terminated with signal SIGKILL"):
        group.join()
    assert 1.0 < time.monotonic() - start < 3.0  # 1.2 s on a quiet machine
    ours.close()
    theirs.close()


def show_signals(index):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    inherited = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            inherited.append(os.readlink(f"/proc/self/fd/{number}"))
    assert not any("socket" in what or "pidfd" in what for what in inherited), inherited


def test_workers_start_with_default_signals_and_few_descriptors(nothing_left):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a launcher may do that
    try:
        spawn(show_signals, nprocs=2)
    finally:
        signal.signal(signal.SIGCHLD, before)
