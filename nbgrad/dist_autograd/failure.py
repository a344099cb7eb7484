"""Failures of a pass: what travels to the caller, and what is raised there."""

import pickle
from typing import Any, NoReturn

from nbgrad.autograd.anomaly import site_of
from nbgrad.errors import BackwardError
from nbgrad.rpc import remote_error


def pack_failure(error: BaseException, node: Any, agent: Any) -> bytes:
    """The record of an error in a node, for the caller."""
    name = agent.session.names[agent.rank]
    op = getattr(node, "name", None)
    return pickle.dumps(
        (remote_error.pack(error, name, agent.rank), name, agent.rank, op, site_of(node)), 5
    )


def raise_failure(records: list, context_id: int, names: list) -> NoReturn:
    """Raise the first failure as a BackwardError, chained from the original; the others are notes."""
    (first, worker, rank, op, site), *others = [pickle.loads(record) for record in records]
    cause = remote_error.unpack(first, f"op {op!r}")
    where = (
        f"recorded at {site}"
        if site
        else "nb.autograd.set_detect_anomaly(True) tells where it was recorded"
    )
    error = BackwardError(
        f"Error on Node {rank}: {type(cause).__name__}: {cause}\n"
        f"The backward pass of context {context_id} failed on worker {worker!r} in the VJP of op {op!r} ({where}). All "
        f"workers have dropped the pass, and no gradient of it is kept; the context and the group can be used again."
    )
    error.worker, error.rank, error.op, error.site = worker, rank, op, site  # type: ignore[attr-defined]
    for _, name, _, other, _ in others:
        error.add_note(f"(worker {name!r} failed as well, in op {other!r})")
    raise error from cause
