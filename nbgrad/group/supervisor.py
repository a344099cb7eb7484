"""The supervisor of a spawned group: forks the workers, watches them from outside, notes deaths, ends what is left.

    launcher ──socketpair──▶ supervisor ──fork──▶ worker 0, 1, ...
       ("interrupt",) ("stop",) ("signal", k, number) ──▶
                      ◀── ("started", pids) ("ended", k, exit code, is_told, is_member) ... ("finished",)

It has imported nbgrad and loaded its kernels, has one thread (so that forking is safe), and runs no user code.

Note [Ends]
~~~~~~~~~~~
E1 (noticed)  a pidfd becomes readable when its worker ends, however it ends; the supervisor reaps it, so its exit
              status is exact, sets its poison word if others need it, and wakes every sleeper of the group.
E2 (launcher) the end of the launcher is the end of its socket and of its pidfd: all workers are killed at once.
E3 (here)     if the supervisor itself is killed, the kernel kills the workers (PR_SET_PDEATHSIG, set in each of them).
E4 (bounded)  after a death those that have joined have GRACE_S to end by themselves; then they get SIGTERM, then
              SIGKILL.  Those that have not joined would never notice, and get SIGTERM at once.
E5 (Ctrl-C)   the terminal sends SIGINT to launcher, supervisor and workers.  The supervisor only takes note of it; it
              sends one to the workers when the launcher says "interrupt" and the terminal has not, so each gets one.
"""

import gc
import os
import select
import signal
import time
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import NamedTuple

from nbgrad import jit
from nbgrad.group import control, status, worker
from nbgrad.group.place import Place
from nbgrad.shm import words
from nbgrad.shm.layout import GONE, NOT_HERE, STATE, Layout
from nbgrad.shm.segment import Segment

GRACE_S = 1.0  # after a death: for errors to travel and tracebacks to be written
INTERRUPT_S = 0.5  # after Ctrl-C
STOP_S = 0.2  # between SIGTERM and SIGKILL


class Work(NamedTuple):
    """What the launcher sends first."""

    launcher: int  # its pid
    segment: int  # descriptor, inherited
    reports: int  # descriptor, inherited
    descriptors: list[int]  # those that belong to arguments, inherited, for the workers only
    tracker: int | None  # descriptor of multiprocessing's resource tracker, inherited
    layout: Layout
    task: bytes
    is_daemon: bool


class Supervisor:
    """One group of workers, from fork to end."""

    def __init__(self, launcher: Connection, work: Work):
        self.launcher, self.work, self.layout = launcher, work, work.layout
        self.segment = Segment(work.segment, work.layout.size_bytes)
        self.base = self.segment.address
        self.pids: list[int] = []
        self.living: dict[int, int] = {}  # pidfd -> worker's number
        self.told: set[int] = set()  # workers that were sent a signal
        self.plan: list[tuple[float, int]] = []  # (when, signal) of the stop under way
        self.is_interrupted = False

    def prepare(self) -> None:
        """Everything that the workers should not have to do."""
        jit.load_cached()
        control.initialise(self.segment, self.layout, 0)
        control.rehearse()
        gc.freeze()  # collections in the workers leave these objects, and so the shared pages, alone

    def start(self) -> None:
        """Fork the workers."""
        own = os.getpid()
        for index in range(self.layout.world):
            pid = os.fork()
            if pid == 0:
                self.launcher.close()
                for pidfd in self.living:
                    os.close(pidfd)
                place = Place(self.segment, self.layout, index)
                worker.main(place, self.work.task, self.work.reports, own, self.work.is_daemon)
            self.pids.append(pid)
            self.living[os.pidfd_open(pid)] = index
        for descriptor in self.work.descriptors:
            os.close(descriptor)

    def run(self) -> None:
        """Watch until no worker lives."""
        poller = select.poll()
        launcher = os.pidfd_open(self.work.launcher)
        for descriptor in (self.launcher.fileno(), launcher, *self.living):
            poller.register(descriptor, select.POLLIN)
        self.tell("started", self.pids)
        while self.living:
            ready = [descriptor for descriptor, _ in poller.poll(self.patience_ms())]
            for descriptor in ready:
                if descriptor in self.living:
                    poller.unregister(descriptor)
                    self.reap(descriptor)
            if launcher in ready or (self.launcher.fileno() in ready and not self.listen()):
                self.signal_all(signal.SIGKILL)  # Note [Ends] E2
                for descriptor in list(self.living):
                    self.reap(descriptor)
            while self.plan and self.plan[0][0] <= time.monotonic():
                self.signal_all(self.plan.pop(0)[1])
        self.tell("finished")

    def patience_ms(self) -> float | None:
        """How long to sleep until the next step of the stop under way."""
        return max(0.0, self.plan[0][0] - time.monotonic()) * 1e3 if self.plan else None

    def tell(self, *message) -> None:
        """Send to the launcher, which may be gone.  At most 34 small messages, so this never blocks."""
        try:
            self.launcher.send(message)
        except OSError:
            pass

    def listen(self) -> bool:
        """Take one message of the launcher; False: it is gone."""
        try:
            message = self.launcher.recv()
        except (EOFError, OSError):
            return False
        if message[0] == "interrupt":
            self.stop(INTERRUPT_S)
            if not self.is_interrupted:  # Note [Ends] E5
                self.signal_all(signal.SIGINT)
        elif message[0] == "stop":
            self.stop(0.0)
        elif message[0] == "signal":
            for pidfd, index in self.living.items():
                if index == message[1]:
                    signal.pidfd_send_signal(pidfd, message[2])
        return True

    def stop(self, grace_s: float) -> None:
        """End the group: SIGTERM after `grace_s`, SIGKILL soon after."""
        now = time.monotonic()
        plan: list[tuple[float, int]] = [
            (now + grace_s, signal.SIGTERM),
            (now + grace_s + STOP_S, signal.SIGKILL),
        ]
        self.plan = plan if not self.plan else min(self.plan, plan)

    def signal_all(self, number: int) -> None:
        """Send a signal to every worker that lives."""
        for pidfd, index in self.living.items():
            self.told.add(index)
            try:
                signal.pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                pass  # ended, not yet reaped

    def reap(self, pidfd: int) -> None:
        """Take the exit status of a worker that has ended, and do what it calls for.  Note [Ends] E1."""
        index = self.living.pop(pidfd)
        os.close(pidfd)
        pid = self.pids[index]
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        rank = control.rank_of(pid, self.base, self.layout)
        state = words.load(self.base + self.layout.worker(rank) + STATE) if rank >= 0 else NOT_HERE
        rank = rank if rank >= 0 else index
        control.note_exit(self.base, self.layout, rank, status.encode(code))
        is_member = state not in (NOT_HERE, GONE)
        if code != 0 or is_member:
            control.note_death(self.base, self.layout, rank, status.encode(code))
            if (
                not self.plan
            ):  # the first death counts; during a stop the others keep the time they were given
                self.stop(GRACE_S if self.has_members() or self.is_interrupted else 0.0)
        self.tell("ended", index, code, index in self.told, is_member)

    def has_members(self) -> bool:
        """Whether a living worker has joined, so that it will notice the death."""
        ranks = [
            control.rank_of(self.pids[index], self.base, self.layout)
            for index in self.living.values()
        ]
        return any(rank >= 0 for rank in ranks)

    def note_interrupt(self, number: int, frame: object) -> None:
        """Handler of SIGINT."""
        self.is_interrupted = True


def main(descriptor: int) -> None:
    """The program: `descriptor` is this end of the socketpair."""
    os.set_inheritable(descriptor, False)
    launcher = Connection(descriptor)
    try:
        work = Work(*launcher.recv())
    except EOFError:
        return
    if os.getppid() != work.launcher:
        return
    for inherited in (work.segment, work.reports, *work.descriptors):
        os.set_inheritable(inherited, False)
    if work.tracker is not None:
        os.set_inheritable(work.tracker, False)
        resource_tracker._resource_tracker._fd = work.tracker  # type: ignore[attr-defined]
    supervisor = Supervisor(launcher, work)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the exit statuses away
    signal.signal(signal.SIGINT, supervisor.note_interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    supervisor.prepare()
    supervisor.start()
    supervisor.run()
