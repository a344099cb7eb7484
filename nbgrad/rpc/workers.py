"""Workers by name: WorkerInfo, and what a caller may write for `to`."""

import re
from dataclasses import dataclass
from typing import Any

from nbgrad.errors import RpcError, RpcNameError
from nbgrad.rpc.trust import register

NAME = re.compile("[A-Za-z0-9_:-]{1,127}")


@register
@dataclass(frozen=True)
class WorkerInfo:
    """Name and id (rank) of a worker.

    Examples
    --------
    >>> from nbgrad.rpc import WorkerInfo
    >>> WorkerInfo("worker1", 1).id
    1
    """

    name: str
    id: int

    def __post_init__(self) -> None:
        check_name(self.name)

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, name={self.name})"


def check_name(name: Any) -> None:
    """Raise RpcNameError unless it is a name that PyTorch takes, too."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RpcNameError(
            f"worker name {name!r}: Worker name must match ^[A-Za-z0-9-_:]*$, must be non-empty and shorter than 128, that is, a "
            f"name has 1 to 127 letters, digits and characters of '_', '-' and ':'"
        )


class Workers:
    """The workers of a group."""

    def __init__(self, names: list[str], own: int):
        self.infos = [WorkerInfo(name, rank) for rank, name in enumerate(names)]
        self.ranks: dict = {info.name: info.id for info in self.infos}
        self.ranks |= {info.id: info.id for info in self.infos}
        self.ranks |= {info: info.id for info in self.infos}
        self.own = own

    def rank(self, to: Any) -> int:
        """Rank of the worker named by a str, an int or a WorkerInfo.

        Raises
        ------
        ValueError
            If `to` is something else.
        RpcError
            If there is no such worker.
        """
        try:
            return self.ranks[to]
        except (KeyError, TypeError):
            pass
        if not isinstance(to, (str, int, WorkerInfo)):
            raise ValueError(
                f"Cannot get WorkerInfo from name {to!r}: give a worker's name, rank or WorkerInfo"
            )
        names = ", ".join(repr(info.name) for info in self.infos)
        raise RpcError(
            f"could not find destination name {to!r}: the workers of this group are {names}"
        )
