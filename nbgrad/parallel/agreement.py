"""Agreement: members who are about to train one model look whether they have the same."""

import zlib

from nbgrad.collectives.objects import all_gather_object
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.world import agree
from nbgrad.errors import DesyncError


def refuse_differences(pg: ProcessGroup, what: str, lines: list[str]) -> None:
    """Raise on all members if one has other lines than the first; all members call this.

    Parameters
    ----------
    what : str
        What the lines describe, for the message: "the parameters of the model".
    lines : list of str
        One per thing that must be the same.

    Raises
    ------
    DesyncError
        With the first line that differs, of both.
    """
    digest = zlib.crc32("\n".join(lines).encode())
    rows = agree(pg, Kind.agreement, [digest])
    if (rows == rows[0]).all():
        return
    told: list = [None] * pg.size()
    all_gather_object(told, lines, pg)
    other = next(p for p in range(pg.size()) if told[p] != told[0])
    first, second = told[0], told[other]
    k = next(
        (k for k, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second))
    )
    a, b = (
        side[k] if k < len(side) else f"nothing more (it has {len(side)})"
        for side in (first, second)
    )
    raise DesyncError(
        f"workers do not agree about {what}: at number {k}, rank {pg.members[0]} has {a}, and rank {pg.members[other]} has {b}. "
        f"All workers must build the same model and the same optimizer"
    )
