"""Workers by name: WorkerInfo, and what a caller may write for `to`."""

from dataclasses import dataclass
from typing import Any

from nbgrad.errors import RpcError
from nbgrad.rpc.trust import register


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

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, name={self.name})"


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
