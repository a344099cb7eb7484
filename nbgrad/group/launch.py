"""Start a helper process of a group (supervisor or watcher): a fresh Python that sees the modules of this one."""

import os
import signal
import subprocess
import sys
from multiprocessing import spawn, util
from pathlib import Path

# Threads of a BLAS would not survive the fork of the workers, and N workers with a thread per core fight for the cores.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGE = str(Path(__file__).parents[1])
PROGRAM = """\
import sys, types
sys.path[:] = sys.argv[2:]
{package}
from nbgrad.group.{program} import main
main(int(sys.argv[1]))
"""
# The supervisor imports all of nbgrad, since the workers are forked from it; the watcher only what it needs itself.
PACKAGES = {
    "supervisor": "import nbgrad",
    "watcher": f"sys.modules['nbgrad'] = types.ModuleType('nbgrad'); sys.modules['nbgrad'].__path__ = [{PACKAGE!r}]",
}


class Helper(subprocess.Popen):
    """A process that may outlive this one: no warning about that."""

    def __del__(self) -> None:
        pass


def start(program: str, number: int, descriptors: list[int], **options) -> subprocess.Popen:
    """Run `nbgrad.group.<program>.main(number)` in a new process that inherits `descriptors`.

    It starts with SIGINT blocked, so that Ctrl-C can't hit it before it has set its handler.
    """
    code = PROGRAM.format(program=program, package=PACKAGES[program])
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
