"""The launcher's side of a spawned group: start it, wait for it, say what went wrong, leave nothing behind."""

import atexit
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe, context, reduction, resource_tracker
from multiprocessing.spawn import get_preparation_data
from typing import Any

from nbgrad.errors import (
    ProcessException,
    ProcessExitedException,
    ProcessRaisedException,
    StartupError,
    WorkerDied,
)
from nbgrad.group import carry, control, launch, report, status
from nbgrad.group.supervisor import Work
from nbgrad.shm.layout import MAX_WORLD, Layout
from nbgrad.shm.segment import Segment

STOP_S = 2.0  # a supervisor that was told to stop has ended; else it is killed

open_contexts: set = set()


class Carried:
    """A descriptor of an argument (a queue, a pipe): it has the same number in the workers."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def detach(self) -> int:
        """The descriptor, which is the caller's to close now."""
        return self.descriptor


class Carrier:
    """Collects the descriptors while arguments are pickled, as a `Popen` of multiprocessing does."""

    DupFd = Carried

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def duplicate_for_child(self, descriptor: int) -> int:
        """Pass it on to the workers."""
        self.descriptors.append(descriptor)
        return descriptor


def pickled(function: Callable, args: tuple, carrier: Carrier, with_main: bool) -> bytes:
    """The task for `worker.main`; `with_main`: the workers import the launcher's main module first."""
    preparation = get_preparation_data("nbgrad-worker")
    if not with_main:
        preparation = {key: value for key, value in preparation.items() if "main" not in key}
    context.set_spawning_popen(carrier)  # type: ignore[arg-type]
    try:
        payload = io.BytesIO()
        reduction.dump((function, args), payload)
        parts = preparation, carry.collected(), payload.getvalue()
        return bytes(reduction.ForkingPickler.dumps(parts))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        error.add_note(
            f"The workers are fresh processes, so {function!r} and its arguments travel by pickle: use a function at "
            f"the top level of a module or script, and plain data, arrays, or queues of multiprocessing.get_context"
            f"('spawn')."
        )
        raise
    finally:
        context.set_spawning_popen(None)


class WorkerProcess:
    """One worker as the launcher sees it; named as in `multiprocessing.Process`."""

    def __init__(self, group: "ProcessContext", index: int):
        self.group, self.index, self.name = group, index, f"nbgrad-worker-{index}"
        self.pid: int | None = None
        self.code: int | None = None
        self.was_told = False  # the supervisor has sent it a signal, to end the group
        self.was_member = False  # it had joined a group, and had not left it when it ended

    @property
    def exitcode(self) -> int | None:
        """Exit code, minus the signal that ended it, or None: it lives."""
        self.group.listen(0.0)
        return self.code

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.exitcode is None

    def join(self, timeout: float | None = None) -> None:
        """Wait until this worker has ended, or `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.code is None and self.group.listen(remaining(end)):
            pass

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.group.send("signal", self.index, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.group.send("signal", self.index, signal.SIGKILL)

    def __repr__(self) -> str:
        state = "running" if self.code is None else status.describe(self.code)
        return f"<WorkerProcess {self.index}, pid {self.pid}, {state}>"


class ProcessContext:
    """The workers that one call of `spawn` started."""

    def __init__(
        self, function: Callable, args: tuple, nprocs: int, daemon: bool, with_main: bool = True
    ):
        if not 1 <= nprocs <= MAX_WORLD:
            raise ValueError(
                f"nprocs is {nprocs}, but a group has 1 to {MAX_WORLD} workers: each has one bit in the others' "
                "doorbells"
            )
        self.is_daemon, self.is_over = daemon, False
        self.failure: ProcessException | None = None
        self.is_stopped = False
        self.processes = [WorkerProcess(self, index) for index in range(nprocs)]
        self.ends: list[WorkerProcess] = []  # in the order of their ends
        self.arguments = (
            args  # kept alive: a lock removes its name when it goes, and the workers still need it
        )
        layout, carrier = Layout(nprocs), Carrier()
        task = pickled(function, args, carrier, with_main)
        segment, self.reports = Segment.inherited(layout.size_bytes), report.make()
        self.connection, theirs = Pipe()
        self.supervisor: subprocess.Popen | None = None
        try:
            control.commit(segment, layout)
            inherited = [theirs.fileno(), segment.descriptor, self.reports, *carrier.descriptors]
            # The workers share the launcher's tracker, or theirs would unlink what it still uses.
            tracker = resource_tracker._resource_tracker._fd  # type: ignore[attr-defined]
            inherited += [] if tracker is None else [tracker]
            self.supervisor = launch.start("supervisor", theirs.fileno(), inherited)
            theirs.close()
            work = Work(
                os.getpid(),
                segment.descriptor,
                self.reports,
                carrier.descriptors,
                tracker,
                layout,
                task,
                daemon,
            )
            self.send(*work)
            open_contexts.add(self)
            while self.processes[0].pid is None and self.listen(None):
                pass
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()
            segment.unmap()
            segment.close()

    def pids(self) -> list[int | None]:
        """Process ids of the workers."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for the workers.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; without it, until all have ended.
        grace_period : float, optional
            Accepted as PyTorch does; when a worker fails the others have a second to end by themselves in any case.

        Returns
        -------
        bool
            True when all have ended well, False when the time is over.

        Raises
        ------
        ProcessRaisedException
            If the function raised in a worker; the first to fail is reported, with its traceback.
        ProcessExitedException
            If a worker was killed, or exited with a code that is not 0.
        """
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while not self.is_over and self.listen(remaining(end)):
                pass
        except KeyboardInterrupt:
            self.stop(interrupt=True)
            raise
        if self.is_over:
            self.raise_failure()
        return self.is_over

    def stop(self, interrupt: bool = False) -> None:
        """End all workers now and wait for that; `interrupt`: by KeyboardInterrupt first, with half a second for it."""
        self.is_stopped = True
        self.send("interrupt" if interrupt else "stop")
        end = time.monotonic() + STOP_S
        try:
            while not self.is_over and self.listen(remaining(end)):
                pass
        except (StartupError, WorkerDied):
            pass  # the supervisor has ended, and the workers with it
        finally:
            self.close()

    def send(self, *message: Any) -> None:
        """Tell the supervisor, which may have ended."""
        try:
            self.connection.send(message)
        except OSError:
            pass  # `listen` says what happened to it

    def listen(self, timeout: float | None) -> bool:
        """Take one message of the supervisor; False: none came in time, or there is nothing more to come."""
        if self.is_over:
            return False
        try:
            if not self.connection.poll(timeout):
                return False
            kind, *rest = self.connection.recv()
        except (EOFError, OSError):
            self.close()
            raise self.supervisor_ended() from None
        if kind == "started":
            for process, pid in zip(self.processes, rest[0], strict=True):
                process.pid = pid
        elif kind == "ended":
            process = self.processes[rest[0]]
            process.code, process.was_told, process.was_member = rest[1:]
            self.ends.append(process)
        elif kind == "finished":
            self.close()
        return True

    def supervisor_ended(self) -> Exception:
        """What to raise when the supervisor has ended before its workers."""
        assert self.supervisor is not None
        how = status.describe(self.supervisor.returncode)
        if self.processes[0].pid is None:
            return StartupError(
                f"the supervisor of the group (pid {self.supervisor.pid}) ended with {how} before it had started "
                "a worker; its own message is on stderr"
            )
        return WorkerDied(
            f"the supervisor of the group (pid {self.supervisor.pid}) ended with {how}, and the kernel ended its "
            f"workers with it.{status.hint(self.supervisor.returncode)}"
        )

    def close(self) -> None:
        """Give everything back; what still lives is killed by the supervisor, which sees its socket close."""
        self.is_over = True
        self.arguments = ()
        open_contexts.discard(self)
        self.connection.close()
        try:
            if self.supervisor is not None:
                self.supervisor.wait(STOP_S)
        except BaseException as error:
            assert self.supervisor is not None
            self.supervisor.kill()  # the workers die with it
            self.supervisor.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            if self.reports >= 0:
                self.failure = self.first_failure()
                os.close(self.reports)
                self.reports = -1

    def first_failure(self) -> ProcessException | None:
        """The root cause: the first end that is bad and not a consequence of another one."""
        bad = [process for process in self.ends if process.code != 0]
        bad = [process for process in bad if not process.was_told] or bad
        if self.is_stopped or not bad:
            return None
        reports = {process: report.read(self.reports, process.index) for process in bad}

        def explains_nothing(process: WorkerProcess) -> bool:
            found = reports[process]
            return found is not None and found.is_consequence

        first = min(
            bad, key=explains_nothing
        )  # the sort is stable: the earliest of those that explain
        found, code, pid = reports[first], first.code or 0, first.pid or 0
        if found is not None:
            text = (
                f"\n\n-- Process {first.index} terminated with the following error:\n{found.text}"
            )
            return ProcessRaisedException(text, first.index, pid)
        if code < 0:
            name = status.signal_name(-code)
            text = f"process {first.index} terminated with signal {name}.{status.hint(code)}"
            if first.was_told:
                text += f" The supervisor ended it: {self.deserters()} did not leave the group before ending."
            return ProcessExitedException(text, first.index, pid, code, name)
        return ProcessExitedException(
            f"process {first.index} terminated with exit code {code}", first.index, pid, code
        )

    def deserters(self) -> str:
        """Workers that returned from their function without leaving the group they had joined."""
        found = [
            str(process.index) for process in self.ends if process.was_member and process.code == 0
        ]
        return f"process {', '.join(found)}"

    def raise_failure(self) -> None:
        """Raise the root cause if a worker has failed."""
        if self.failure is not None:
            raise self.failure


def remaining(end: float | None) -> float | None:
    """Seconds until `end`."""
    return None if end is None else max(0.0, end - time.monotonic())


@atexit.register
def finish() -> None:
    """The launcher ends: wait for workers that are no daemons, as multiprocessing does; after an error, stop all."""
    failed = getattr(sys, "last_value", None) is not None
    for group in list(open_contexts):
        if group.is_daemon or failed:
            group.stop()
        else:
            group.join()


os.register_at_fork(after_in_child=open_contexts.clear)  # they are the parent's
