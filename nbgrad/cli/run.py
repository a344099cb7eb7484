"""`nbgrad run --nproc N script.py ...`: a script in N workers, which meet without being told where."""

from pathlib import Path

import click

from nbgrad.errors import ProcessException, ProcessExitedException, WorkerDied
from nbgrad.group import run_again
from nbgrad.ops import manual_seed
from nbgrad.shm.layout import MAX_WORLD

SIGNALLED = 128  # plus the signal's number: the exit code of what a signal ended, as shells have it


def exit_code(error: Exception) -> int:
    """What the command exits with, after the first worker that failed."""
    if not isinstance(error, ProcessExitedException):
        return 1
    return error.exit_code if error.exit_code > 0 else SIGNALLED - error.exit_code


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--nproc",
    type=click.IntRange(1, MAX_WORLD),
    required=True,
    metavar="N",
    help="How many workers.",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="K",
    help="How often to start all workers again when one has failed.",
)
@click.option(
    "--seed",
    type=int,
    metavar="S",
    help="Gives each worker its own reproducible random numbers.",
)
@click.argument("script", type=click.Path(exists=True, dir_okay=False, readable=True))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    nproc: int, max_restarts: int, seed: int | None, script: str, arguments: tuple[str, ...]
) -> None:
    """Run SCRIPT with its ARGUMENTS in N worker processes.

    Each worker finds RANK, LOCAL_RANK, WORLD_SIZE and the id of the run in its environment, so the
    script only needs `rpc.init_rpc(name)`. When a worker fails the others are ended, its traceback is
    shown, and the exit code is its own, or 1 after an exception.  With --max-restarts they are started
    again; a script that calls `resume()` of its checkpoints goes on from the last one.
    """
    if seed is not None:
        manual_seed(seed)

    def tell(error: Exception, count: int) -> None:
        click.echo(f"{str(error).strip()}\nnbgrad run: restart {count} of {max_restarts}", err=True)

    try:
        run_again(Path(script).as_posix(), list(arguments), nproc, max_restarts, tell)
    except (ProcessException, WorkerDied) as error:
        click.echo(str(error).strip(), err=True)
        raise click.exceptions.Exit(exit_code(error)) from None
