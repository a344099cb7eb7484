"""on_workers: run a function in real worker processes, with deadlines and leak checks.

    on_workers(f, world=2)   answers of f(rank, world), one fresh process per rank
    nothing_left             the leak checks alone, for tests that start groups themselves

A worker that does not answer within the deadline fails the test with the stacks of all workers.  After
the test no process, shared memory or descriptor that it made may be left, whoever started it: each
process of a run carries the run's mark in its environment, so a supervisor or a worker that was
re-parented is found too.  When the whole run ends the same is asked once more.
"""

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import signal
import time
import traceback
import warnings
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

# Before NumPy comes: as workers have it, and BLAS threads that wait for a core slow everybody down.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import psutil
import pytest
from hypothesis import settings

from nbgrad.jit import store

collect_ignore = ["programs"]  # whole programs, which test_programs.py runs
START_S = 60.0  # all workers have imported nbgrad
DEADLINE_S = 10.0  # all workers have answered
# All workers, and what they started, have ended, also on a busy machine; a check that finds nothing waits for nothing.
LEAVE_S = float(os.environ.get("NBGRAD_TEST_LEAVE_S", "5"))
POLL_S = 0.05
STACKS_S = 0.2  # a worker has written its stacks

# deadline=None: the first example pays for JIT compilation.
settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# A shell's background job ignores Ctrl-C, and so would every program that the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MARK = "NBGRAD_TEST_RUN"

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["nbgrad"])


def pytest_configure():  # in a hook, since workers import this file too
    os.environ[MARK] = f"{os.getpid()}-{time.time_ns()}"


def segments():
    """Names of nbgrad's segments in /dev/shm."""
    return {name for name in os.listdir("/dev/shm") if name.startswith("nbgrad-")}


def leaked(before):
    """Segments that are new and stay, but for those that a process of another run has open."""
    end = time.monotonic() + LEAVE_S
    while left := segments() - before:
        ours = {process.pid for process in marked()} | {os.getpid()}
        for process in psutil.process_iter():
            if process.pid not in ours:
                with contextlib.suppress(OSError):  # ended meanwhile, or another user's
                    maps = Path(f"/proc/{process.pid}/maps").read_text()
                    left = {name for name in left if f"/dev/shm/{name}" not in maps}
        if not left or time.monotonic() > end:
            break
        time.sleep(POLL_S)
    return left & segments()


def descriptors():
    """Open descriptors of this process: {(number, what it is)}; a memfd is '/memfd:name (deleted)'."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add((int(number), os.readlink(f"/proc/self/fd/{number}")))
    return found


def marked():
    """Processes with this run's mark, this one excepted."""
    found, mark = set(), f"{MARK}={os.environ[MARK]}".encode()
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):  # ended meanwhile, or another user's
            if pid == os.getpid() or mark not in Path(f"/proc/{pid}/environ").read_bytes():
                continue
            process = psutil.Process(
                pid
            )  # by its time of birth, too: what it kills is this process
            if process.environ().get(MARK) == os.environ[MARK]:
                found.add(process)
    return found


def strangers(known):
    """Those that are neither known nor multiprocessing's own; these may get their mark after `known` was made."""
    own = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}
    return {process for process in marked() - known if process.pid not in own}


def described(found):
    """One line per process, for a person who looks for where it came from."""
    lines = []
    for process in found:
        with contextlib.suppress(psutil.Error):
            lines.append(f"pid {process.pid}: {' '.join(process.cmdline())[:200]}")
    return "\n".join(sorted(lines))


def worker(function, rank, world, pipe, stack_file):
    warnings.simplefilter("error")
    faulthandler.register(signal.SIGUSR1, open(stack_file, "w"))  # noqa: SIM115 - open until the end
    pipe.send("ready")
    pipe.recv()
    try:
        pipe.send(("answer", function(rank, world)))
    except BaseException:
        pipe.send(("raised", traceback.format_exc()))


class OnWorkers:
    def __init__(self, folder):
        self.folder, self.started = folder, []

    def __call__(self, function, world=2, deadline=DEADLINE_S):
        """Answers of function(rank, world), one fresh process per rank."""
        first = len(self.started)  # a test may call on_workers more than once
        for rank in range(world):
            ours, theirs = processes.Pipe()
            stack_file = str(self.folder / f"process {first + rank}, rank {rank}")
            process = processes.Process(
                target=worker, args=(function, rank, world, theirs, stack_file)
            )
            process.start()
            theirs.close()
            self.started.append((process, ours))
        end = time.monotonic() + START_S
        for _, pipe in self.started[first:]:
            assert pipe.poll(max(0.0, end - time.monotonic()))
            assert pipe.recv() == "ready"
        for _, pipe in self.started[first:]:
            pipe.send("go")
        end = time.monotonic() + deadline
        return [self.answer(first, rank, world, end, deadline) for rank in range(world)]

    def answer(self, first, rank, world, end, deadline):
        process, pipe = self.started[first + rank]
        if not pipe.poll(max(0.0, end - time.monotonic())):
            pytest.fail(f"rank {rank} of {world}: no answer after {deadline} s\n{self.stacks()}")
        try:
            kind, value = pipe.recv()
        except EOFError:
            process.join()
            pytest.fail(
                f"rank {rank} of {world} died, exit code {process.exitcode}\n{self.stacks()}"
            )
        if kind == "raised":
            pytest.fail(f"rank {rank} of {world} raised\n{value}")
        return value

    def stacks(self):
        for process, _ in self.started:
            if process.is_alive():
                os.kill(process.pid, signal.SIGUSR1)  # faulthandler writes its stacks
        time.sleep(STACKS_S)
        return "\n".join(
            f"{file.name}:\n{file.read_text()}" for file in sorted(self.folder.glob("process *"))
        )

    def close(self):
        """End every worker and give its descriptors back; pids of those that had to be killed."""
        end = time.monotonic() + LEAVE_S
        for process, _ in self.started:
            process.join(max(0.0, end - time.monotonic()))
        late = [process.pid for process, _ in self.started if process.is_alive()]
        for process, pipe in self.started:
            process.kill()
            process.join()
            process.close()
            pipe.close()
        return late


@pytest.fixture
def nothing_left():
    """After the test no process, shared memory or descriptor is left that was not there before."""
    forkserver.ensure_running()  # it and the resource tracker outlive the test, and may
    before, fds, ours = segments(), descriptors(), marked()
    yield
    psutil.wait_procs(strangers(ours), timeout=LEAVE_S)
    orphans = strangers(ours)  # looked up again: they may have started others, and a zombie is none
    sentence = f"processes outlived the test:\n{described(orphans)}"
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    left = leaked(before)
    for name in left:
        os.unlink(f"/dev/shm/{name}")
    held = descriptors() - fds
    if held:  # a collection looks at all that pytest and Numba keep, too
        gc.collect()  # what only a cycle holds is no leak
        held = descriptors() - fds
    assert not orphans, sentence
    assert not left, f"shared memory outlived the test: {left}"
    assert not held, f"descriptors or memfds outlived the test: {sorted(held)}"


@pytest.fixture
def on_workers(tmp_path, nothing_left):
    """Run a function in fresh worker processes: see the head of this file."""
    run = OnWorkers(tmp_path)
    yield run
    late = run.close()
    assert not late, f"workers outlived the test: {late}"


@pytest.fixture(scope="session", autouse=True)
def nothing_left_at_the_end():
    """What no test of its own looked for: processes and named segments of the whole run."""
    before = segments()
    yield
    server = {forkserver._forkserver._forkserver_pid, os.getpid()}
    others = [p for p in marked() if p.pid not in server and not is_tracker(p)]
    psutil.wait_procs(others, timeout=LEAVE_S)
    orphans = {p for p in others if p.is_running()}
    assert not orphans, f"processes outlived the test run:\n{described(orphans)}"
    left = leaked(before)
    assert not left, f"shared memory outlived the test run: {left}"


def is_tracker(process):
    """Whether this is multiprocessing's resource tracker, which ends with its parent."""
    with contextlib.suppress(psutil.Error):
        return "multiprocessing.resource_tracker" in " ".join(process.cmdline())
    return True  # ended meanwhile


@pytest.fixture
def empty_store(tmp_path, monkeypatch):
    """A cache of compiled kernels that is empty; its folder's parent."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store.folder.cache_clear()
    yield tmp_path
    store.folder.cache_clear()
