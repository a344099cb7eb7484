"""Statistics of passes: what each worker did in each backward pass of a context."""

from dataclasses import dataclass

from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state


@dataclass(frozen=True)
class PartStatistics:
    """One worker in one pass."""

    worker: str
    messages: int  # posted
    gradients: int  # of them, gradients of a call or a reply: hops
    nodes: int  # VJPs run
    bytes_copied: int
    bytes_zero_copy: int
    computing_s: float
    waiting_s: float  # from its first contact to its last message, less computing


def pass_statistics(context_id: int) -> list[dict[str, PartStatistics]]:
    """For each finished pass of the context, oldest first: worker name -> what it did.

    Raises
    ------
    ContextError
        If this worker has no part of the context.
    """
    agent = state.agent()
    context = agent.contexts.find(context_id)
    context.merge_done()
    passes: dict = {}
    for rank in sorted({agent.rank, *context.known}):
        for pass_id, found in rpc_api.rpc_sync(rank, local_statistics, args=(context_id,)):
            passes.setdefault(pass_id, {})[found.worker] = found
    return [passes[pass_id] for pass_id in sorted(passes)]


def local_statistics(context_id: int) -> list:
    """On a worker: (pass id, PartStatistics) of its finished parts."""
    context = state.agent().contexts.table.get(context_id)
    if context is None:
        return []
    context.merge_done()
    return [(pass_id, PartStatistics(*told)) for pass_id, told in context.statistics.items()]
