"""How workers start, meet and end: `spawn`, the supervisor, `join`, and who died.  Knows no tensors and no messages."""

from nbgrad.group.death import died, first_dead
from nbgrad.group.processes import ProcessContext
from nbgrad.group.session import PROCESS_GROUP, RPC, Session, join
from nbgrad.group.spawn import run_script, spawn

__all__ = [
    "PROCESS_GROUP",
    "RPC",
    "ProcessContext",
    "Session",
    "died",
    "first_dead",
    "join",
    "run_script",
    "spawn",
]
