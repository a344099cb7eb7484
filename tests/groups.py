"""Groups of real workers that tests send functions to.

    pytest                              worker0                         worker1, worker2 ...
    group.call(f, a) ── pipe ────►      f(a), which calls the others    serve, inside rpc.shutdown()
                     ◄── pipe ────      its value, or its exception

`group2`, `group3` and `group4` are kept for the whole run and lent to one test after the other; one in which a call hung, a
worker died or something was left over is replaced.  After each test the group must be as it was before: no context,
no pass, no call, no value of an RRef, and no thread that ended in an error.  `fresh(3)` is a group of the test's own.
"""

import contextlib
import faulthandler
import functools
import gc
import importlib
import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
import traceback
import warnings
from multiprocessing import Pipe
from pathlib import Path
from unittest import mock

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.rpc import state
from nbgrad.shm.layout import Layout

START_S = 60.0  # all workers have joined
DEADLINE_S = 20.0  # a call has been answered
LEAVE_S = 5.0  # all workers have ended by themselves
STACKS_S = 0.3  # all workers have written their stacks
SETTLE_S = 2.0  # what runs in the background (releases, deletes) is done


# ---------------------------------------------------------------- in the workers


def serve(rank, world, pipe, folder, options, modules):
    """The program of a worker."""
    for module in modules:
        importlib.import_module(module)
    warnings.simplefilter("error")
    faulthandler.register(signal.SIGUSR1, open(folder / f"stacks of worker{rank}", "w"))  # noqa: SIM115
    threading.excepthook = functools.partial(note_error, folder / f"errors of worker{rank}")
    options = rpc.TensorPipeRpcBackendOptions(**options)
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=world, rpc_backend_options=options)
    if rank == 0:
        answer(pipe)
    pipe.close()
    rpc.shutdown()


def answer(pipe):
    """Run what comes through the pipe until the pipe says None or is closed."""
    pipe.send((os.getpid(), "ready", None))
    with contextlib.suppress(EOFError):
        while (data := pipe.recv()) is not None:
            try:
                function, args = pickle.loads(data)
                reply = "value", function(*args)
            except BaseException as error:
                error.add_note("".join(traceback.format_exception(error)))
                reply = "error", error
                error = None
            pipe.send((os.getpid(), *packed(*reply)))
            reply = None  # nothing of the call is kept until the next one comes


def packed(kind, value):
    """A reply that is certain to arrive."""
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        text = "\n".join(getattr(value, "__notes__", [])) or repr(value)
        return "error", RuntimeError(f"a value that can't be pickled: {text}")
    return kind, value


def note_error(file, args):
    """A thread has ended in an error: `Group.check` will tell."""
    with file.open("a") as out:
        out.write(
            "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
        )


def left_over():
    """What is under way or alive in this worker, apart from the call that asks; {} at rest."""
    agent = state.agent()
    info = dist_autograd._get_debug_info()
    info |= {
        "calls": sum(1 for future in list(agent.futures.values()) if not future.finished),
        "rref_values": len(agent.rrefs.values),
        "requests": len(agent.serving.queue),
        "messages": len(agent.backlog),
        "transfers": len(agent.transfers.pieces),
    }
    return {name: count for name, count in info.items() if count}


def left_over_everywhere(collects):
    """Of all workers: {rank: what is left}."""
    world = state.agent().world
    if collects:  # what only a cycle holds (an error and the frames that it passed) is no leak
        on_all(gc.collect)
    others = {rank: rpc.rpc_sync(rank, left_over) for rank in range(1, world)}
    return {rank: found for rank, found in {0: left_over(), **others}.items() if found}


def on_all(function, *args):
    """The function's values on all workers, one after the other; for functions that run in worker 0."""
    return [rpc.rpc_sync(rank, function, args) for rank in range(state.agent().world)]


def eventually(condition, seconds=SETTLE_S):
    """Whether `condition()` becomes true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


# ---------------------------------------------------------------- in pytest


class Group:
    """A group of `world` workers.

    ring_capacity and arena_bytes replace those of the segment's layout; `timeout_s` is the default of its calls, and
    `options` are further ones of init_rpc, `modules` what the workers import first.
    """

    def __init__(self, world, timeout_s=60.0, options=None, modules=(), **sizes):
        self.world = world
        options = {"rpc_timeout": timeout_s} | (options or {})
        self.folder = Path(tempfile.mkdtemp(prefix="nbgrad-group-"))
        self.is_broken = self.is_closed = False
        self.pipe, theirs = Pipe()
        with mock.patch("nbgrad.group.processes.Layout", functools.partial(Layout, **sizes)):
            self.context = nb.multiprocessing.spawn(
                serve, args=(world, theirs, self.folder, options, modules), nprocs=world, join=False
            )
        theirs.close()
        assert self.receive("init_rpc", START_S)[0] == "ready"

    def call(self, function, *args, deadline=DEADLINE_S):
        """The value of `function(*args)` in worker 0; what it raises is raised here, with its traceback as a note."""
        self.pipe.send(pickle.dumps((function, args)))
        kind, value = self.receive(function.__qualname__, deadline)
        if kind == "error":
            self.is_broken = self.is_broken or not self.is_alive()
            raise value
        return value

    def is_alive(self):
        """Whether all workers live."""
        return all(process.is_alive() for process in self.context.processes)

    def receive(self, what, deadline):
        if not self.pipe.poll(deadline):
            self.is_broken = True
            stacks = self.stacks()
            self.close()
            pytest.fail(f"{what}: no answer after {deadline} s\n{stacks}")
        try:
            self.leader, *reply = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.is_broken = True
            how = self.end()
            self.close()
            pytest.fail(f"{what}: worker 0 has ended: {how}")
        return reply

    def stacks(self):
        """The stacks of all threads of all workers."""
        for process in self.context.processes:
            # By the supervisor, which has their pidfds: a pid may be another process's by now.
            self.context.send("signal", process.index, signal.SIGUSR1)
        time.sleep(STACKS_S)
        return "\n".join(
            f"{file.name}\n{file.read_text()}" for file in sorted(self.folder.iterdir())
        )

    def check(self):
        """Nothing is left over, and no thread ended in an error."""
        end, collects = time.monotonic() + SETTLE_S, False
        while left := self.call(left_over_everywhere, collects):
            collects = True
            time.sleep(0.01)
            if time.monotonic() > end:
                self.is_broken = True
                pytest.fail(f"left over in the workers: {left}")
        self.check_threads()

    def check_threads(self):
        """No thread of a worker ended in an error."""
        errors = "\n".join(file.read_text() for file in sorted(self.folder.glob("errors *")))
        if errors:
            self.is_broken = True
            pytest.fail(f"threads of workers ended in errors:\n{errors}")

    def end(self):
        """Wait for the workers: None, or why they ended."""
        try:
            return None if self.context.join(timeout=LEAVE_S) else "they have not"
        except Exception as error:
            return error

    def close(self):
        """End the group; whether the workers ended well and by themselves."""
        if self.is_closed:
            return True
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        how = "a call hung" if self.is_broken else self.end()
        if how is not None:
            self.context.stop()
        self.pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.is_broken = self.is_broken or how is not None
        return how is None


@contextlib.contextmanager
def fresh(world, **options):
    """A group of the test's own."""
    group = Group(world, **options)
    try:
        yield group
        if not group.is_closed:
            group.check_threads()
    finally:
        well = group.close() or group.is_broken
    assert well, "the workers did not leave by themselves"


pool: dict = {}  # world -> the group that is lent to one test after the other


def lend(world):
    """The group of that size, replaced if it is broken; checked when it comes back."""
    group = pool.get(world)
    if group is None or group.is_broken or not group.is_alive():
        if group is not None:
            group.close()
        group = pool[world] = Group(world)
    yield group
    if not group.is_broken and group.is_alive():
        group.check()


@pytest.fixture(scope="session")
def groups():
    """Closes, at the end of the run, what was lent."""
    yield
    for group in pool.values():
        group.close()
    pool.clear()


@pytest.fixture
def group2(groups):
    """Two workers."""
    yield from lend(2)


@pytest.fixture
def group3(groups):
    """Three workers."""
    yield from lend(3)


@pytest.fixture
def group4(groups):
    """Four workers."""
    yield from lend(4)
