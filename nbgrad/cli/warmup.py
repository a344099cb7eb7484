"""`nbgrad warmup`: all kernels of the package compiled into the user's cache, before somebody waits for them."""

import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nbgrad.jit import store, warm


@click.command()
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Processes that compile; by default one per usable core.",
)
def warmup(jobs: int | None) -> None:
    """Compile all kernels that the cache does not hold yet.

    Without it each kernel is compiled at its first call, about a quarter of a second each. The
    cache is bound to this machine's processor and to the versions of nbgrad, Python, NumPy and Numba.
    """
    folder = store.folder()
    if folder is None:
        raise click.ClickException(
            "no cache folder can be written (XDG_CACHE_HOME, or ~/.cache), so compiled kernels would not be kept"
        )
    started = time.monotonic()
    names, total = warm.missing(), len(warm.objects())
    console = Console()
    compile_all(names, jobs or len(os.sched_getaffinity(0)), console)
    seconds = time.monotonic() - started
    size = sum(file.stat().st_size for file in folder.glob("*.o")) / 1024**2
    console.print(
        f"{len(names)} of {total} objects compiled in {seconds:.1f} s, the others were there; {size:.1f} MiB in {folder}",
        soft_wrap=True,
        highlight=False,
    )


def compile_all(names: list[str], jobs: int, console: Console) -> None:
    """Compile `names` in `jobs` processes, with a bar."""
    if not names:
        return
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Progress(*bar, console=console) as progress,
        ProcessPoolExecutor(min(jobs, len(names)), get_context("spawn")) as pool,
    ):
        task = progress.add_task("compiling", total=len(names))
        for future in as_completed([pool.submit(warm.make, name) for name in names]):
            future.result()
            progress.advance(task)
