"""Start a helper process of a group (supervisor or watcher): a fresh Python that sees the modules of this one."""

import os
import signal
import subprocess
import sys
from multiprocessing import spawn, util

# Threads of a BLAS would not survive the fork of the workers, and N workers with a thread per core fight for the cores.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from nbgrad.group.{program} import main; main(int(sys.argv[1]))"


class Helper(subprocess.Popen):
    """A process that may outlive this one: no warning about that."""

    def __del__(self) -> None:
        pass


def start(program: str, number: int, descriptors: list[int], **options) -> subprocess.Popen:
    """Run `nbgrad.group.<program>.main(number)` in a new process that inherits `descriptors`.

    It starts with SIGINT blocked, so that Ctrl-C can't hit it before it has set its handler.
    """
    code = PROGRAM.format(program=program)
    if program == "supervisor":
        code = code.replace(
            "; from", "; import nbgrad; from", 1
        )  # all of it: the workers are forked from there
    executable = os.fsdecode(spawn.get_executable() or sys.executable)
    flags = util._args_from_interpreter_flags()  # type: ignore[attr-defined]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return Helper(
            [executable, *flags, "-c", code, str(number), *sys.path],
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={**dict.fromkeys(ONE_THREAD, "1"), **os.environ},
            **options,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
