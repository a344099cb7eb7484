"""`nbgrad run --nproc N script.py ...`: a script in N workers, which meet without being told where."""

from pathlib import Path

import click

from nbgrad.errors import ProcessException, ProcessExitedException
from nbgrad.group import run_script
from nbgrad.shm.layout import MAX_WORLD

SIGNALLED = 128  # plus the signal's number: the exit code of what a signal ended, as shells have it


def exit_code(error: ProcessException) -> int:
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
@click.argument("script", type=click.Path(exists=True, dir_okay=False, readable=True))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(nproc: int, script: str, arguments: tuple[str, ...]) -> None:
    """Run SCRIPT with its ARGUMENTS in N worker processes.

    Each worker finds RANK, LOCAL_RANK, WORLD_SIZE and the id of the run in its environment, so the
    script only needs `rpc.init_rpc(name)`. When a worker fails the others are ended, its traceback is
    shown, and the exit code is its own, or 1 after an exception.
    """
    try:
        run_script(Path(script).as_posix(), list(arguments), nproc)
    except ProcessException as error:
        click.echo(str(error).strip(), err=True)
        raise click.exceptions.Exit(exit_code(error)) from None
