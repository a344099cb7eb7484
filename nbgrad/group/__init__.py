"""How workers start, meet and end: `spawn`, the supervisor, `join`, and who died.  Knows no tensors and no messages."""

from nbgrad.group.address import rank_and_size
from nbgrad.group.death import died, first_dead
from nbgrad.group.processes import ProcessContext
from nbgrad.group.restart import run_again
from nbgrad.group.session import PROCESS_GROUP, RPC, Session, join
from nbgrad.group.spawn import (
    get_all_sharing_strategies,
    get_sharing_strategy,
    run_script,
    set_sharing_strategy,
    spawn,
)

__all__ = [
    "PROCESS_GROUP",
    "RPC",
    "ProcessContext",
    "Session",
    "died",
    "first_dead",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "join",
    "rank_and_size",
    "run_again",
    "run_script",
    "set_sharing_strategy",
    "spawn",
]
