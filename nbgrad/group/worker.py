"""What a worker does from its fork to its end: become a process of its own, run the user's function, leave a report.

A worker runs a *task*, the pickle of (preparation, carried, payload): `preparation` makes the launcher's main module
importable (as `multiprocessing` does it), `carried` are settings of the launcher (carry.py), `payload` is the pickle of
(function, args).
"""

import atexit
import ctypes
import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing import process, spawn, util

import numpy as np

from nbgrad.errors import WorkerDied
from nbgrad.group import carry, control, report, status
from nbgrad.group.place import Place, settle
from nbgrad.shm import words
from nbgrad.shm.layout import NOT_HERE, STATE

PR_SET_PDEATHSIG = 1
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
LINGER_S = 1.0  # a worker that failed has this long for its exit handlers

prctl = ctypes.CDLL(None).prctl


def die_with(parent: int) -> None:
    """Let the kernel kill this process when `parent` ends; at once if it has ended already."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(place: Place, task: bytes, reports: int, supervisor: int, is_daemon: bool) -> None:
    """Run the task as worker `place.index`; never returns."""
    code = 1
    try:
        die_with(supervisor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if sys.stderr is not None:
            faulthandler.enable()
        settle(place)
        current = process.current_process()
        current._config["daemon"] = is_daemon  # type: ignore[attr-defined]
        util._finalizer_registry.clear()  # type: ignore[attr-defined]
        util._run_after_forkers()  # type: ignore[attr-defined]
        np.random.seed()  # noqa: NPY002 - or all workers would draw the same numbers
        code = perform(place, task, reports)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        os._exit(code)


def perform(place: Place, task: bytes, reports: int) -> int:
    """Run the task and the exit handlers; the exit code."""
    try:
        try:
            run(place.index, task)
        except BaseException as error:
            if not is_quiet(error):
                give_up(place, reports, error)
            raise
        finally:
            threading._shutdown()  # type: ignore[attr-defined]  # waits for the user's threads
            atexit._run_exitfuncs()
    except SystemExit as error:
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException:
        return 1
    finally:
        util._flush_std_streams()  # type: ignore[attr-defined]
    return 0


def run(index: int, task: bytes) -> None:
    """Unpickle function and arguments, and call it."""
    current = process.current_process()
    current._inheriting = True  # type: ignore[attr-defined]  # a script without its `if __name__` is told so
    try:
        preparation, carried, payload = pickle.loads(task)
        carry.hand_out(
            carried, index
        )  # before the main module is imported: it may have its own mind
        spawn.prepare({**preparation, "name": f"{preparation['name']}-{index}"})
        function, args = pickle.loads(payload)
    finally:
        del current._inheriting  # type: ignore[attr-defined]
    function(index, *args)


def is_quiet(error: BaseException) -> bool:
    """Whether it ends the worker without a report: an interrupt, or `sys.exit` with a code."""
    return isinstance(error, KeyboardInterrupt | SystemExit)


def give_up(place: Place, reports: int, error: BaseException) -> None:
    """Leave the traceback, tell the group at once, and don't let exit handlers take long."""
    report.write(reports, place.index, traceback_text(error), is_consequence(error))
    base, layout = place.segment.address, place.layout
    rank = control.rank_of(os.getpid(), base, layout)
    if rank >= 0 and words.load(base + layout.worker(rank) + STATE) != NOT_HERE:
        control.note_death(base, layout, rank, status.encode(1))
    timer = threading.Timer(LINGER_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


def traceback_text(error: BaseException) -> str:
    """The traceback without the frames of this file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def is_consequence(error: BaseException | None) -> bool:
    """Whether the cause is that another worker has died, so that this one explains nothing."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, WorkerDied):
            return True
        error = error.__cause__ or error.__context__
    return False


def exit_code(error: SystemExit) -> int:
    """What the interpreter would exit with."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 255
    print(error.code, file=sys.stderr)
    return 1
