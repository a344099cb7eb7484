"""Failures of a pass: what travels to the caller, and what is raised there."""

from typing import Any, NoReturn

from nbgrad.autograd.anomaly import site_of
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import BackwardError
from nbgrad.rpc import plain, plain_read, remote_error


def pack_failure(error: BaseException, node: Any, in_hook: bool, agent: Any) -> bytes:
    """The record of an error in a node or leaf (or None), for the caller."""
    name = agent.session.names[agent.rank]
    op = None if getattr(node, "name", None) is None else str(node.name)  # plain text travels
    return plain.dumps(
        (
            remote_error.pack(error, name, agent.rank),
            name,
            agent.rank,
            op,
            site_of(node),
            place_of(node, in_hook),
        )
    )


def place_of(node: Any, in_hook: bool) -> str:
    """What a worker was doing with a node, or with a leaf."""
    if node is None:
        return "outside of any op"
    if isinstance(node, Tensor):
        return f"in a hook of a leaf of shape {node.array.shape}"
    return f"in {'a hook' if in_hook else 'the VJP'} of op {node.name!r}"


def raise_failure(records: list, originals: dict, context_id: int) -> NoReturn:
    """Raise the first failure as a BackwardError, chained from the original; the others are notes.

    `originals` are the exceptions themselves, by record, of this worker: a debugger finds the frames that they passed.
    """
    (first, worker, rank, op, site, place), *others = [
        plain_read.loads(record) for record in records
    ]
    cause = originals.get(records[0]) or remote_error.unpack(first, place)
    if site:
        place += f" (recorded at {site})"
    elif op not in (None, "send_rpc", "recv_rpc"):
        place += " (nb.autograd.set_detect_anomaly(True) tells where it was recorded)"
    error = BackwardError(
        f"Error on Node {rank}: {remote_error.headline(cause)}\n"
        f"The backward pass of context {context_id} failed on worker {worker!r} {place}. All "
        f"workers have dropped the pass, and no gradient of it is kept; the context and the group can be used again."
    )
    error.worker, error.rank, error.op, error.site = worker, rank, op, site  # type: ignore[attr-defined]
    for _, name, _, _, _, other in others:
        error.add_note(f"(worker {name!r} failed as well, {other})")
    raise error from cause
