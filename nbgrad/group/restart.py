"""run_again: a script in workers, started again when one fails; the script goes on from its last checkpoint.

The workers find TORCHELASTIC_RESTART_COUNT and TORCHELASTIC_MAX_RESTARTS in their environment, as torchrun names them.
Each start is a group of its own: nothing of the one before is used again.
"""

from collections.abc import Callable

from nbgrad.errors import ProcessException, WorkerDied
from nbgrad.group.spawn import run_script


def run_again(
    script: str,
    args: list[str],
    nprocs: int,
    max_restarts: int = 0,
    on_restart: Callable[[Exception, int], None] = lambda error, count: None,
) -> int:
    """Run a script in workers until it ends well.

    Parameters
    ----------
    script, args, nprocs
        As of `run_script`.
    max_restarts : int
        How often to start again after a failure.
    on_restart : callable
        `on_restart(error, count)` is told before each start again, count = 1, 2, ...

    Returns
    -------
    int
        How often it was started again.

    Raises
    ------
    ProcessRaisedException, ProcessExitedException, WorkerDied
        The last failure, where no restart is left.
    """
    count = 0
    while True:
        environment = {
            "TORCHELASTIC_RESTART_COUNT": str(count),
            "TORCHELASTIC_MAX_RESTARTS": str(max_restarts),
        }
        try:
            run_script(script, args, nprocs, environment=environment)
            return count
        except (ProcessException, WorkerDied) as error:
            if count == max_restarts:
                raise
            count += 1
            on_restart(error, count)
