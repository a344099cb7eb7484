"""Where the workers of a run computed, in a line for its summary."""

from typing import Any

from nbgrad.collectives import all_gather_object, get_world_size
from nbgrad.parallel import Placement


def placements(mine: Placement, group: Any = None) -> str:
    """What was decided for the members of the group, in words; they all call this."""
    found: list = [None] * get_world_size(group)
    all_gather_object(found, (mine.cpus, mine.is_pinned, mine.threads), group)
    return described([Placement(*one) for one in found])


def described(found: list[Placement]) -> str:
    """Cores and threads of workers, in words.

    Examples
    --------
    >>> from nbgrad.cli.train_placement import described
    >>> from nbgrad.parallel import Placement
    >>> described([Placement((0,), False, 1), Placement((1,), False, 1)])
    'cores 0 | 1, not pinned; 1 BLAS thread each'
    """
    cores = " | ".join(",".join(map(str, one.cpus)) for one in found)
    pinned = "pinned" if all(one.is_pinned for one in found) else "not pinned"
    threads = sorted({one.threads for one in found})
    how_many = " or ".join(map(str, threads))
    noun = "thread" if threads == [1] else "threads"
    return f"cores {cores}, {pinned}; {how_many} BLAS {noun} each"
