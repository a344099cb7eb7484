"""`spawn`: run a function in N fresh worker processes; `run_script`: a script instead of a function."""

import os
import random
import sys
import types
from collections.abc import Callable

from nbgrad.group.processes import ProcessContext

START_METHODS = ("spawn", "forkserver", "fork")
FIRST_PORT, LAST_PORT = 20_000, 60_000


def spawn(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run `fn(i, *args)` in `nprocs` worker processes, i = 0, 1, ...

    Parameters
    ----------
    fn : callable
        A function at the top level of a module or of the running script; it is pickled by name.
    args : tuple
        Its arguments after the number of the worker; queues and pipes of `multiprocessing` may be among them.
    nprocs : int
        How many workers, 1 to 31.
    join : bool
        Wait for all workers; with False a `ProcessContext` is returned, to be joined later.
    daemon : bool
        End the workers when the launcher ends, instead of waiting for them.
    start_method : str
        Accepted as in PyTorch; every worker is forked from a fresh process that has loaded nbgrad.

    Returns
    -------
    ProcessContext or None
        None with `join=True`.

    Raises
    ------
    ProcessRaisedException
        If `fn` raises in a worker; the message holds its traceback, and the other workers are ended.
    ProcessExitedException
        If a worker is killed, or exits with a code that is not 0.
    StartupError, SharedMemoryFull
        If the group can't be started.

    Examples
    --------
    >>> import math
    >>> import nbgrad.multiprocessing as mp
    >>> mp.spawn(math.pow, args=(2.0,), nprocs=2)  # pow(0, 2.0) and pow(1, 2.0), each in its own process
    """
    if start_method not in START_METHODS:
        raise ValueError(
            f"start_method is {start_method!r}; one of {', '.join(START_METHODS)} is wanted"
        )
    context = ProcessContext(fn, args, nprocs, daemon)
    if not join:
        return context
    context.join()
    return None


SHARING = {"file_descriptor", "file_system"}


def get_all_sharing_strategies() -> set[str]:
    """PyTorch's names for the ways in which memory is shared; nbgrad has its own, a segment per group."""
    return set(SHARING)


def get_sharing_strategy() -> str:
    """ "file_descriptor": workers inherit the descriptor of their segment."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted, and without effect.

    Raises
    ------
    ValueError
        If PyTorch has no such strategy.
    """
    if new_strategy not in SHARING:
        raise ValueError(f"sharing strategy {new_strategy!r} is none of {sorted(SHARING)}")


def run_script(
    script: str,
    args: list[str] | tuple[str, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    environment: dict[str, str] | None = None,
) -> ProcessContext | None:
    """Run a Python script in `nprocs` workers, each with RANK, LOCAL_RANK, WORLD_SIZE and a run id in its environment.

    Parameters
    ----------
    script : str
        Path of the script; it runs as `__main__`, with `sys.argv = [script, *args]`.
    args : list of str
        Arguments of the script.
    nprocs : int
        How many workers, 1 to 31.
    join : bool
        As in `spawn`, which also says what is returned and raised.
    environment : dict, optional
        More variables for the workers.
    """
    variables = run_environment(nprocs) | (environment or {})
    if not os.path.exists(script):
        raise FileNotFoundError(f"there is no script {script!r} in {os.getcwd()}")
    work = (os.fspath(script), list(args), variables)
    context = ProcessContext(script_worker, work, nprocs, daemon=False, with_main=False)
    if not join:
        return context
    context.join()
    return None


def run_environment(nprocs: int) -> dict[str, str]:
    """What all workers of a run find in their environment; MASTER_PORT only names the run, no port is opened."""
    run_id = f"{os.getpid()}-{random.SystemRandom().getrandbits(32):08x}"
    port = str(random.SystemRandom().randint(FIRST_PORT, LAST_PORT))
    return {
        "WORLD_SIZE": str(nprocs),
        "LOCAL_WORLD_SIZE": str(nprocs),
        "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": os.environ.get("MASTER_PORT", port),
        "NBGRAD_RUN_ID": run_id,
    }


def script_worker(index: int, script: str, args: list[str], environment: dict[str, str]) -> None:
    """Run the script as Python would run it."""
    os.environ.update(environment, RANK=str(index), LOCAL_RANK=str(index))
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    main = types.ModuleType("__main__")
    main.__file__, main.__builtins__ = script, __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.argv = [script, *args]
    sys.path[0:1] = [os.path.dirname(os.path.abspath(script))]
    exec(code, main.__dict__)
