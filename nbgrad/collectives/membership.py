"""Which process groups this process is in, and as what."""

import os
from typing import Any

from nbgrad.collectives.process_group import ProcessGroup, refuse
from nbgrad.errors import ProcessGroupError

__all__ = [
    "GroupMember",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
]

BACKEND = "gloo"


class State:
    """The default group, and all groups that are open."""

    default: Any = None
    groups: list[ProcessGroup] = []


def refuse_children() -> None:
    """In a child forked from a worker: no group of the worker does anything here any more, not even the fast way."""
    for pg in State.groups:
        pg.begin = refuse


os.register_at_fork(after_in_child=refuse_children)


class Names(type):
    """The default group under PyTorch's two names for it."""

    @property
    def WORLD(cls) -> Any:  # noqa: N802
        """The default group, or None."""
        return State.default


class GroupMember(metaclass=Names):
    """`GroupMember.WORLD` is the default group, `NON_GROUP_MEMBER` what `new_group` gives to those who are not in it."""

    NON_GROUP_MEMBER = -100


class group(metaclass=Names):  # noqa: N801
    """`group.WORLD` is the default group."""


def default_group() -> ProcessGroup:
    """The default group.

    Raises
    ------
    ProcessGroupError
        Before `init_process_group` and after `destroy_process_group`.
    """
    if State.default is None:
        raise ProcessGroupError(
            "Default process group has not been initialized, please make sure to call init_process_group."
        )
    return State.default


def chosen_group(group: Any) -> ProcessGroup | None:
    """The group that a caller means; None: it is not a member of it."""
    if group is None:
        return default_group()
    if isinstance(group, ProcessGroup):
        return group
    if isinstance(group, int) and group == GroupMember.NON_GROUP_MEMBER:
        return None
    raise ProcessGroupError(f"group is {group!r}, but a ProcessGroup of new_group() is wanted")


def is_initialized() -> bool:
    """Whether this process is in a default process group."""
    return State.default is not None


def is_gloo_available() -> bool:
    """True: what "gloo" names here is always there."""
    return True


def is_nccl_available() -> bool:
    """False: there are no GPUs."""
    return False


def is_mpi_available() -> bool:
    """False."""
    return False


def get_rank(group: Any = None) -> int:
    """This process's rank in the group; -1 if it is no member."""
    pg = chosen_group(group)
    return -1 if pg is None else pg.me


def get_world_size(group: Any = None) -> int:
    """How many members the group has; -1 in a process that is none of them."""
    pg = chosen_group(group)
    return -1 if pg is None else pg.size()


def get_backend(group: Any = None) -> str:
    """ "gloo": the backend's name for programs that ask."""
    if chosen_group(group) is None:
        raise ProcessGroupError("Invalid process group specified: this process is not a member")
    return BACKEND


def get_process_group_ranks(group: Any = None) -> list[int]:
    """Ranks, in the default group, of the group's members."""
    pg = chosen_group(group)
    return [] if pg is None else list(pg.members)


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """Rank in the group of a rank of the default group.

    Raises
    ------
    ProcessGroupError
        If it is no member.
    """
    pg = chosen_group(group)
    if pg is None or global_rank not in pg.members:
        members = [] if pg is None else list(pg.members)
        raise ProcessGroupError(
            f"Global rank {global_rank} is not part of group {group!r}, whose ranks are {members}"
        )
    return pg.members.index(global_rank)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """Rank in the default group of a rank of the group.

    Raises
    ------
    ProcessGroupError
        If the group has no such rank.
    """
    pg = chosen_group(group)
    if pg is None or not 0 <= group_rank < pg.size():
        raise ProcessGroupError(f"group rank {group_rank} is not part of group {group!r}")
    return pg.members[group_rank]
