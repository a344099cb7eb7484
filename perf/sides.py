"""One side of a comparison: a child process, or the launcher of a group, that measures one block when told.

    this script                     child (one per side)               worker0 of the child's group, or the child
    -----------                     --------------------               -----------------------------------------
    Side(...)           starts ->   the same script, --side NAME   ->  serve(figures, lib)
    side.block(k, n)    ======== "block k n" over a socket ========>   garbage collector off, n calls, timed there
                        <======= samples in ns ====================

The socket only carries the turn; nothing that is measured crosses it.  Both sides get the same clean environment:
one BLAS thread, no OPENBLAS_CORETYPE or OPENBLAS_L2_SIZE (they slow a current NumPy down three times), one hash seed.

Note [Frozen while not its turn]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
An idle group of torch.distributed.rpc burns two cores, which would be measured as the other side's slowness.  So
the processes of a group are stopped (SIGSTOP) until it is their turn, on both sides alike, and each block starts
with calls that are not timed.  A child is a process group of its own in our session: if this script is killed, the
kernel sends SIGHUP and SIGCONT to the stopped processes, so none stays behind.

Note [Where memory lies]
~~~~~~~~~~~~~~~~~~~~~~~~
Where the arrays of a short kernel lie in cache lines and pages changes its time by several percent (seen: 7, once 45),
and a process that sets up once keeps its draw for life.  So figures with `renew` set up again, so many times in
each block, behind spacers of random size, with inputs at random offsets: the effect becomes noise inside blocks, which
the median takes out.  Seen with 8 processes of one code: spread 1.5-3 % before, 0.2-1.3 % with one set-up a block.
"""

import contextlib
import gc
import json
import os
import random
import signal
import socket
import subprocess
import time
import traceback
from pathlib import Path

import numpy as np

SOCKET = "NBGRAD_PERF_SOCKET"
START_S = 120.0  # a child has imported its framework, compiled, and started its workers
BLOCK_S = 120.0  # one block has been measured
COMPILE_S = 600.0  # the same, of torch.compile: its first block calls a C++ compiler
LEAVE_S = 10.0
UNWANTED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_VERBOSE", "PYTHONSTARTUP")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class SideFailed(RuntimeError):
    """A child ended or raised; the message holds its traceback or the end of its standard error."""


class Absent(RuntimeError):
    """This side does not have what the figure measures (an older revision, say)."""


def clean_environment(path=None):
    """The environment of every child; `path` is put in front of its import path."""
    environment = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    environment |= dict.fromkeys(ONE_THREAD, "1")
    environment |= {
        "PYTHONHASHSEED": "0",
        "NBGRAD_WAIT_WARNING_S": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    environment.pop("PYTHONPATH", None)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return environment


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """`pid` and its living descendants, parents first."""
    found = [pid]
    for parent in found:  # grows while we walk
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # that thread has ended since
                found += map(int, task.read_text().split())
    return found


class Line:
    """JSON objects, one per line, over a connected socket."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("r")

    def send(self, message):
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self):
        """The next message, or None when the other end has gone."""
        try:
            line = self.file.readline()
        except ConnectionError:
            return None
        return json.loads(line) if line else None

    def close(self):
        self.file.close()
        self.connection.close()


class Side:
    """A child that runs `python script --side framework` (more arguments after it) and measures when told.

    Parameters
    ----------
    label : str
        Name in messages.
    framework : str
        "nbgrad", "torch", "torch.compile" or "jax".
    python, script : path
        Interpreter and program text of the child.
    folder : path
        Scratch folder: socket, standard error, working directory.
    path : path or None
        Where the child's package lies, when it is not installed for `python`.
    is_group : bool
        Stop the child's processes when it is not their turn: Note [Frozen while not its turn].
    """

    def __init__(
        self, label, framework, python, script, folder, path=None, is_group=False, arguments=()
    ):
        self.label = label
        self.is_group = is_group
        self.framework = framework
        self.line = None
        self.pids, self.pidfds = [], []
        number = len(os.listdir(folder))
        self.errors = os.path.join(folder, f"{number}-{framework}.err")
        address = os.path.join(folder, f"{number}.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(address)
        self.listener.listen(1)
        self.start_ns = time.monotonic_ns()
        with open(self.errors, "w") as errors:
            self.child = subprocess.Popen(
                [os.fspath(python), os.fspath(script), "--side", framework, *arguments],
                env=clean_environment(path) | {SOCKET: address},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                process_group=0,
            )

    def wait_ready(self):
        """Wait until the child says hello; its hello."""
        deadline = time.monotonic() + START_S
        self.listener.settimeout(0.1)
        while self.line is None:
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                if self.child.poll() is not None or time.monotonic() > deadline:
                    raise self.failed("did not get ready") from None
            else:
                connection.settimeout(COMPILE_S if "." in self.framework else BLOCK_S)
                self.line = Line(connection)
        hello = self.receive()
        self.pids = family(self.child.pid)
        for pid in self.pids:
            with contextlib.suppress(OSError):  # it was there for a moment only
                self.pidfds.append(os.pidfd_open(pid))
        self.freeze()
        return hello

    def failed(self, what):
        code = self.child.poll()
        state = "still running" if code is None else f"exit code {code}"
        with open(self.errors) as errors:
            tail = "".join(errors.readlines()[-25:])
        return SideFailed(
            f"side {self.label!r} {what} ({state}).  The end of its standard error:\n{tail}"
        )

    def receive(self):
        try:
            message = self.line.receive()
        except TimeoutError:
            raise self.failed("gave no answer in time") from None
        if message is None:
            raise self.failed("ended")
        if "absent" in message:
            raise Absent(message["absent"])
        if "error" in message:
            raise SideFailed(f"side {self.label!r} raised:\n{message['error']}")
        return message

    def ask(self, **question):
        """Let the child work and wait for its answer."""
        self.thaw()
        try:
            self.line.send(question)
            return self.receive()
        except BrokenPipeError:
            raise self.failed("ended") from None
        finally:
            self.freeze()

    def block(self, figure, count):
        """Measure one block: {measure: [ns per item, ...]}."""
        return self.ask(figure=figure, count=count)["samples"]

    def freeze(self):
        if self.is_group:
            self.signal(signal.SIGSTOP)

    def thaw(self):
        if self.is_group:
            self.signal(signal.SIGCONT)

    def signal(self, number):
        for pidfd in self.pidfds:  # a pid may be another process's by now, or a thread's of one
            with contextlib.suppress(ProcessLookupError):  # ended: the missing answer will tell
                signal.pidfd_send_signal(pidfd, number)

    def close(self):
        """Let the child leave; kill what is left of it after LEAVE_S."""
        self.thaw()
        if self.line is not None:
            self.line.close()
        self.listener.close()
        try:
            self.child.wait(LEAVE_S if self.line is not None else 0)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.child.kill()
            self.child.wait()
        while self.pidfds:
            os.close(self.pidfds.pop())


def serve(figures, lib):
    """In the measuring process: say hello, then measure blocks until the other end of the socket closes.

    A figure's `setup(lib)` gives `block(count)`, which returns samples in ns (a list, or a dict of lists); an
    ImportError or AttributeError there means that this side does not have it.
    """
    line = hello(lib)
    blocks = {}
    gc.collect()
    gc.freeze()  # what is alive now is not looked at again
    gc.disable()
    while (question := line.receive()) is not None:
        figure = figures[question["figure"]]
        try:
            if figure.renew or figure not in blocks:
                blocks[figure] = set_up(figure, lib)
            samples = measured(blocks[figure], figure.warm, question["count"])
            for _ in range(1, figure.renew):
                blocks[figure] = set_up(figure, lib)
                for name, more in measured(blocks[figure], figure.warm, question["count"]).items():
                    samples[name] += more
            line.send({"samples": samples})
        except Absent as missing:
            line.send({"absent": str(missing)})
        except Exception:
            line.send({"error": traceback.format_exc()})
    gc.enable()


def set_up(figure, lib):
    """The figure's block, behind spacers: Note [Where memory lies]."""
    spacers = [np.empty(random.randrange(1040, 100_000, 16), np.uint8) for _ in range(4)]
    try:
        block = figure.setup(lib)
    except (ImportError, AttributeError) as missing:
        if not is_absence(missing):
            raise
        raise Absent(f"{type(missing).__name__}: {missing}") from missing
    return lambda count, spacers=spacers: block(count)  # they live as long as the block


def measured(block, warm, count):
    """Samples of one block, in a dict."""
    if warm:
        block(warm)
    samples = block(count)
    return samples if isinstance(samples, dict) else {"": samples}


def is_absence(error):
    """Whether a script looked for a name in vain, rather than that the code of the side is broken."""
    packages = ("nbgrad", "torch", "jax")
    if isinstance(error, ModuleNotFoundError):
        return str(error.name).partition(".")[0] in packages
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return not any(frame.f_globals["__name__"].startswith(packages) for frame in frames)


def hello(lib, **more):
    """Connect to the script that started this process and tell versions; `more` goes with them."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ[SOCKET])
    line = Line(connection)
    line.send({"versions": lib.versions(), "pid": os.getpid(), **more})
    return line


def per_item(count, call):
    """Time each of `count` calls: samples in ns."""
    clock = time.perf_counter_ns
    samples = []
    for _ in range(count):
        start = clock()
        call()
        samples.append(clock() - start)
    return samples


def per_block(count, call):
    """Time `count` calls together, for calls that are short against the clock: one sample, ns per call."""
    start = time.perf_counter_ns()
    for _ in range(count):
        call()
    return [(time.perf_counter_ns() - start) / count]
