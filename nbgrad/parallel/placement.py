"""Where a worker computes: on which cores, with how many threads per matrix product.

By default the cores that this process may use are shared out: no more BLAS threads than there are cores, and, where the
machine has several memory nodes, each worker on cores of one of them, so that memory which it touches first lies near.
Variables that are set win: OPENBLAS_NUM_THREADS and its relatives, and NBGRAD_PIN (0 never, 1 always).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrad.collectives.membership import chosen_group
from nbgrad.errors import ProcessGroupError
from nbgrad.logs import logger
from nbgrad.ops.threads import get_num_threads, set_num_threads

NODES = Path("/sys/devices/system/node")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PIN = "NBGRAD_PIN"


@dataclass(frozen=True)
class Placement:
    """What was decided for a worker.

    Attributes
    ----------
    cpus : tuple of int
        Numbers of the cores of its share.
    is_pinned : bool
        Whether it may run on no others.
    threads : int
        Threads of a matrix product.
    """

    cpus: tuple[int, ...]
    is_pinned: bool
    threads: int


def numbers(text: str) -> list[int]:
    """The kernel's lists of cores.

    Examples
    --------
    >>> from nbgrad.parallel.placement import numbers
    >>> numbers("0-2,8")
    [0, 1, 2, 8]
    """
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found += range(int(first), int(last or first) + 1)
    return found


def nodes() -> list[list[int]]:
    """Cores by memory node; one node where the kernel does not tell."""
    files = sorted(NODES.glob("node[0-9]*/cpulist"))
    found = [numbers(file.read_text()) for file in files]
    return [cpus for cpus in found if cpus] or [sorted(os.sched_getaffinity(0))]


def shares(usable: set[int], by_node: list[list[int]], world: int) -> list[tuple[int, ...]]:
    """The cores of each worker: equal shares, in the order of the nodes; workers share cores where there are too few.

    Examples
    --------
    >>> from nbgrad.parallel.placement import shares
    >>> shares({0, 1, 2, 3}, [[0, 2], [1, 3]], 2)
    [(0, 2), (1, 3)]
    >>> shares({0, 1}, [[0, 1]], 3)
    [(0,), (0,), (1,)]
    """
    cpus = [cpu for node in by_node for cpu in node if cpu in usable]
    cpus += sorted(usable - set(cpus))
    n = len(cpus)
    found = []
    for rank in range(world):
        first, last = rank * n // world, (rank + 1) * n // world
        found.append(tuple(cpus[first : max(last, first + 1)]))
    return found


def planned(
    rank: int, world: int, *, pin: bool | None = None, threads: int | None = None
) -> Placement:
    """What `place` decides for a worker of a group of `world`; nothing is changed.

    Examples
    --------
    >>> from nbgrad.parallel.placement import planned
    >>> planned(0, 1, pin=False, threads=1).threads
    1
    """
    usable, by_node, now = os.sched_getaffinity(0), nodes(), get_num_threads()
    cpus = shares(usable, by_node, world)[rank]
    if pin is None:
        pin = os.environ[PIN] == "1" if PIN in os.environ else len(by_node) > 1
    is_told = any(name in os.environ for name in THREADS)
    if threads is None:
        threads = len(cpus) if not is_told and now * world > len(usable) else now
    return Placement(cpus, pin, threads)


def place(group: Any = None, *, pin: bool | None = None, threads: int | None = None) -> Placement:
    """Give this worker its share of the cores.

    Parameters
    ----------
    group : ProcessGroup, optional
        The workers that share the machine; the default group.
    pin : bool, optional
        Whether the worker may run on its share only; by default where there are several memory nodes.
    threads : int, optional
        Threads of a matrix product; by default as many as the share has cores, if all workers' together were more than
        there are.

    Returns
    -------
    Placement
        What holds now; it is logged, too.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group(init_method="tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> nb.parallel.place(threads=1).threads
    1
    >>> dist.destroy_process_group()
    """
    pg = chosen_group(group)
    if pg is None:
        raise ProcessGroupError("place: this process is not in the group")
    placed = planned(pg.me, pg.size(), pin=pin, threads=threads)
    if placed.is_pinned:
        os.sched_setaffinity(0, placed.cpus)
    if placed.threads != get_num_threads():
        set_num_threads(placed.threads)
    logger.info("%r: %s", pg, placed)
    return placed
