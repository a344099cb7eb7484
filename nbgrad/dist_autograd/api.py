"""The interface of `torch.distributed.autograd`, with its names, order of arguments and messages."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from nbgrad.autograd.parameter import Parameter, cast
from nbgrad.autograd.sparse import SparseArray
from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd import after, ledger
from nbgrad.dist_autograd.context import Context, Contexts, thread
from nbgrad.dist_autograd.engine import Engine
from nbgrad.dist_autograd.joint import Joint
from nbgrad.errors import ContextError, GraphError, NbgradError, ShapeError
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc import codec, current, state

__all__ = [
    "_current_context",
    "_get_debug_info",
    "_get_max_id",
    "_is_valid_context",
    "_new_context",
    "_release_context",
    "_retrieve_context",
    "backward",
    "context",
    "get_gradients",
    "is_available",
]


def attach(agent: Any) -> None:
    """Give an agent contexts, send and recv functions, and an engine."""
    contexts = Contexts(agent)
    agent.joint = Joint(agent, contexts)
    agent.contexts = contexts
    agent.engine = Engine(agent, contexts)
    agent.serving.deadlines.append(agent.engine.next_deadline)


codec.Tensors.kind = Tensor
codec.Tensors.names = {"Parameter": Parameter}
codec.Tensors.cast = cast
codec.Tensors.sparse = SparseArray
rpc_api.on_start.append(attach)
current.debug_info.append(lambda: _get_debug_info())


def contexts() -> Contexts:
    return state.agent().contexts


def is_available() -> bool:
    """True: distributed autograd is always there.

    Examples
    --------
    >>> from nbgrad import dist_autograd
    >>> dist_autograd.is_available()
    True
    """
    return True


@contextmanager
def context() -> Iterator[int]:
    """A context for one forward and its backward passes; yields its id.

    Remote calls of this thread inside the block are recorded, here and on the workers that they reach.

    Raises
    ------
    ContextError
        If this thread has a context already; at the end, if another worker has released this one.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad import dist_autograd, rpc
    >>> rpc.init_rpc("worker0", rank=0, world_size=1)
    >>> with dist_autograd.context() as context_id:
    ...     dist_autograd._current_context()._context_id() == context_id
    True
    >>> rpc.shutdown()
    """
    opened = _new_context()
    try:
        yield opened.id
    except BaseException:
        with suppress(NbgradError):  # what the block raised tells more
            _release_context(opened.id)
        raise
    _release_context(opened.id)


def _new_context() -> Context:
    if thread.context is not None:
        raise ContextError(
            f"Already have an autograd context id for this thread: {thread.context.id}. Leave that context's `with` block "
            f"before you open another one"
        )
    opened = thread.context = contexts().new()
    return opened


def _release_context(context_id: int) -> None:
    if thread.context is not None and thread.context.id == context_id:
        thread.context = None
    contexts().release(context_id)


def _get_max_id() -> int:
    return (state.agent().rank << 48) + (1 << 48) - 1


def _is_valid_context(context_id: int) -> None:
    contexts().find(context_id)


def _retrieve_context(context_id: int) -> Context:
    return contexts().find(context_id)


def _current_context() -> Context:
    current = thread.context
    if current is None:
        raise ContextError(
            "Current thread doesn't have a valid autograd context. Please wrap your code using: `with "
            "nbgrad.dist_autograd.context() as context_id` to generate a valid context"
        )
    return current


def _get_debug_info() -> dict:
    agent = state.agent()
    open_contexts = list(agent.contexts.table.values())
    passes = sum(
        part.outcome() == ledger.RUNNING for c in open_contexts for part in list(c.passes.values())
    )
    return {"num_current_backward_passes": passes, "num_autograd_contexts": len(open_contexts)}


def backward(
    context_id: int,
    roots: Sequence[Tensor],
    retain_graph: bool = False,
    *,
    mode: str = "auto",
    timeout: float | None = None,
) -> None:
    """Run the backward pass of a context across all of its workers, from scalar roots on this worker.

    Gradients of leaves stay on the worker that owns the leaf; `get_gradients` gives them there.

    Parameters
    ----------
    context_id : int
        What `context()` gave.
    roots : sequence of Tensor, one element each
        Their gradients are summed; one that is listed twice counts twice.
    retain_graph : bool
        Keep what the operations saved, for another pass.
    mode : {"auto", "fast"}
        "fast" is PyTorch's FAST mode: it assumes that every result of a remote call is used by the roots.  "auto" gives the
        gradients of the same program in one process also where some are not; it costs nothing more where all are.
    timeout : float, optional
        Seconds until the pass is dropped; none by default.

    Raises
    ------
    ContextError, GraphError, ShapeError, TypeError
        For a context or roots that can't be used, before anything starts.
    BackwardError
        If an operation fails on any worker; the original error is its cause.
    FastModeError
        In mode "fast", if a result is unused; it names them.
    WorkerDied
        If a worker ends during the pass.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad import dist_autograd, rpc
    >>> rpc.init_rpc("worker0", rank=0, world_size=1)
    >>> x = nb.ones(2, requires_grad=True)
    >>> with dist_autograd.context() as context_id:
    ...     y = rpc.rpc_sync("worker0", nb.mul, args=(x, x))
    ...     dist_autograd.backward(context_id, [y.sum()])
    ...     dist_autograd.get_gradients(context_id)[x]
    tensor([2., 2.])
    >>> rpc.shutdown()
    """
    is_int = context_id.__class__ is int or (
        isinstance(context_id, int) and not isinstance(context_id, bool)
    )
    if not is_int:
        raise TypeError(
            f"backward(): incompatible function arguments: context_id must be an int, got {context_id!r}"
        )
    if roots.__class__ is not list and (
        isinstance(roots, Tensor) or not isinstance(roots, Sequence)
    ):
        raise TypeError(
            f"backward(): incompatible function arguments: roots must be a list of tensors, got {type(roots).__name__}; "
            f"write [loss]"
        )
    if mode not in ("auto", "fast"):
        raise ValueError(f"mode must be 'auto' or 'fast', got {mode!r}")
    agent = state.agent()
    agent.session.check_process()
    found = agent.contexts.find(context_id)
    roots = list(roots)
    check_roots(roots)
    start_ns = time.perf_counter_ns() if agent.trace else 0
    agent.engine.backward(found, roots, bool(retain_graph), int(mode == "fast"), timeout)
    if after.listeners:
        found.merge_done()
        after.run(found.gradients)
    trace = agent.trace
    if trace and start_ns:
        trace("pass", "dist_autograd.backward", start_ns)


def check_roots(roots: list) -> None:
    """The checks of the original, in its order."""
    if not roots:
        raise GraphError("No tensors provided for gradient computation.")
    for k, root in enumerate(roots):
        if not isinstance(root, Tensor):
            raise TypeError(
                f"backward(): incompatible function arguments: root {k} is {type(root).__name__}, not a Tensor"
            )
        if not root.requires_grad:
            raise GraphError(
                f"requires_grad not set on root {k}: no leaf with requires_grad=True took part in computing it, or it was "
                f"computed under no_grad or detached"
            )
        if root.array.size != 1:
            raise ShapeError(
                f"root {k} of shape {root.array.shape} is not a scalar, all roots need to be scalar; reduce it with .sum() or "
                f".mean()"
            )
        if root.node is None:
            raise GraphError(
                f"root {k} does not have a valid gradient function: it is a leaf, so there is nothing to differentiate"
            )


def get_gradients(context_id: int) -> dict:
    """Gradients of the leaves that this worker owns: {leaf: gradient}, summed over the passes of the context.

    The values are the live sums: what is written into one is seen by later calls and by the optimizer.  They are never
    stored in `.grad`.

    Raises
    ------
    ContextError
        If this worker has no part of the context.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad import dist_autograd, rpc
    >>> rpc.init_rpc("worker0", rank=0, world_size=1)
    >>> x = nb.ones(2, requires_grad=True)
    >>> with dist_autograd.context() as context_id:
    ...     y = rpc.rpc_sync("worker0", nb.mul, args=(x, x))
    ...     dist_autograd.backward(context_id, [y.sum()])
    ...     gradients = dist_autograd.get_gradients(context_id)
    >>> gradients[x], x.grad
    (tensor([2., 2.]), None)
    >>> rpc.shutdown()
    """
    found = contexts().find(context_id)
    found.merge_done()
    return dict(found.gradients)
