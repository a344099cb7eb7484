"""Who died: what the poison words say, as exceptions that name the worker."""

from nbgrad.errors import WorkerDied
from nbgrad.group import control, status
from nbgrad.shm import words
from nbgrad.shm.layout import FAILED, PID, POISON, Layout
from nbgrad.shm.segment import Segment


def first_dead(segment: Segment, layout: Layout) -> int:
    """Rank of the worker whose end was noted first (the root cause), or -1: nobody died.

    One load of a shared word, about 50 ns.
    """
    return words.load(segment.address + FAILED) - 1


def died(segment: Segment, layout: Layout, rank: int, during: str = "") -> WorkerDied:
    """The exception that says how worker `rank` ended; `during` is what can't go on, as in "during ...".

    Returns
    -------
    WorkerDied
        With `rank`, `name`, `pid` and `exitcode` (minus the signal; None if nobody could tell).
    """
    block = segment.address + layout.worker(rank)
    name, pid = control.read_name(block) or f"rank {rank}", words.load(block + PID)
    code = status.decode(words.load(block + POISON))
    end = f"ended with {status.describe(code)}"
    if code == 0:
        end = "ended with exit code 0 before it left the group (is `rpc.shutdown()` or `destroy_process_group()` missing?)"
    error = WorkerDied(
        f"worker {name!r} (rank {rank}, pid {pid or 'unknown'}) {end}{' during ' + during if during else ''}, so what "
        f"others wait for from it never comes.{status.hint(code)} The group can't go on: start it again from its last "
        f"checkpoint."
    )
    error.rank, error.name, error.pid, error.exitcode = rank, name, pid, code
    return error


def check(segment: Segment, layout: Layout, during: str = "") -> None:
    """Raise `WorkerDied` if a worker of the group has died; cheap when nobody has."""
    rank = words.load(segment.address + FAILED) - 1
    if rank >= 0:
        raise died(segment, layout, rank, during)
