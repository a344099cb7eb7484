"""Statistics of passes: what each worker did in each backward pass of a context."""

from dataclasses import dataclass

from nbgrad.dist_autograd.context_rows import MASK, WORD
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import state
from nbgrad.rpc.trust import register
from nbgrad.shm import words


@register
@dataclass(frozen=True)
class PartStatistics:
    """One worker in one pass, whether the pass ended well or failed."""

    worker: str
    messages: int  # posted
    gradients: int  # of them, gradients of a call or a reply: hops
    nodes: int  # VJPs run
    bytes_copied: int
    bytes_zero_copy: int
    computing_s: float
    waiting_s: float  # from its first contact to its last message, less computing
    started_ns: int  # its first contact, by `time.perf_counter_ns`: one clock for all workers


def pass_statistics(context_id: int) -> list[dict[str, PartStatistics]]:
    """For each finished pass of the context, oldest first: worker name -> what it did.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad import dist_autograd, rpc
    >>> rpc.init_rpc("worker0", rank=0, world_size=1)
    >>> x = nb.ones(2, requires_grad=True)
    >>> with dist_autograd.context() as context_id:
    ...     y = rpc.rpc_sync("worker0", nb.mul, args=(x, x))
    ...     dist_autograd.backward(context_id, [y.sum()])
    ...     (found,) = dist_autograd.pass_statistics(context_id)
    >>> found["worker0"].gradients, found["worker0"].nodes, found["worker0"].bytes_copied
    (2, 2, 16)
    >>> rpc.shutdown()

    Raises
    ------
    ContextError
        If this worker has no part of the context.
    """
    agent = state.agent()
    context = agent.contexts.find(context_id)
    context.merge_done()
    passes: dict = {}
    workers = (
        words.load(context.row + WORD) & MASK
    )  # also those that only another worker has called
    for rank in range(agent.world):
        if workers >> rank & 1:
            for pass_id, found in rpc_api.rpc_sync(rank, local_statistics, args=(context_id,)):
                passes.setdefault(pass_id, {})[found.worker] = found
    return sorted(
        passes.values(), key=lambda parts: min(part.started_ns for part in parts.values())
    )


@register
def local_statistics(context_id: int) -> list:
    """On a worker: (pass id, PartStatistics) of its finished parts."""
    agent = state.agent()
    context, worker = agent.contexts.table.get(context_id), agent.session.name
    if context is None:
        return []
    context.merge_done()
    return [(pass_id, told(worker, *figures)) for pass_id, figures in context.statistics.items()]


def told(
    worker: str, messages: int, gradients: int, nodes: int, copied: int, zero_copy: int,
    computing_ns: int, started_ns: int, ended_ns: int,
) -> PartStatistics:  # fmt: skip
    """What is told of a part, from its `Part.figures`."""
    waiting_s = max(0, ended_ns - started_ns - computing_ns) / 1e9
    return PartStatistics(
        worker,
        messages,
        gradients,
        nodes,
        copied,
        zero_copy,
        computing_ns / 1e9,
        waiting_s,
        started_ns,
    )
