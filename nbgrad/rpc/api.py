"""The RPC interface: PyTorch's names, order of arguments and meaning.

rpc.init_rpc("worker0", rank=0, world_size=2)
y = rpc.rpc_sync("worker1", function, args=(x,))
rpc.shutdown()
"""

import atexit
import contextlib
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from nbgrad import group, logs
from nbgrad.errors import RpcError
from nbgrad.logs import logger
from nbgrad.rpc import cloud, codec, interrupts, leaks, state
from nbgrad.rpc.agent import Agent
from nbgrad.rpc.calls import Calls
from nbgrad.rpc.cloud import PICKLERS
from nbgrad.rpc.constants import UNSET_RPC_TIMEOUT
from nbgrad.rpc.current import (
    TensorPipeAgent,
    _delete_all_user_and_unforked_owner_rrefs,
    _get_current_rpc_agent,
    _get_debug_info,
    _rref_context_get_debug_info,
    enable_gil_profiling,
)
from nbgrad.rpc.figures import statistics
from nbgrad.rpc.future import Future
from nbgrad.rpc.gather import (
    Meetings,
    _all_gather,
    _barrier,
    _thread_local_var,
    _wait_all,
    _wait_all_workers,
)
from nbgrad.rpc.internal import _internal_rpc_pickler
from nbgrad.rpc.leaving import AllReached, Quiet, Until, reach
from nbgrad.rpc.options import BackendType, TensorPipeRpcBackendOptions, check_timeout, chosen
from nbgrad.rpc.owner import create
from nbgrad.rpc.rref import RRef, RRefs
from nbgrad.rpc.state import State
from nbgrad.rpc.trust import LEVELS, Trust
from nbgrad.rpc.workers import WorkerInfo, Workers, check_name
from nbgrad.shm.layout import DRAINED, LEAVING

__all__ = [
    "Future",
    "RRef",
    "TensorPipeAgent",
    "WorkerInfo",
    "_all_gather",
    "_barrier",
    "_default_pickler",
    "_delete_all_user_and_unforked_owner_rrefs",
    "_get_current_rpc_agent",
    "_get_debug_info",
    "_is_current_rpc_agent_set",
    "_rref_context_get_debug_info",
    "_set_rpc_timeout",
    "_thread_local_var",
    "_use_rpc_pickler",
    "_wait_all",
    "_wait_all_workers",
    "enable_gil_profiling",
    "get_rpc_timeout",
    "get_worker_info",
    "init_rpc",
    "is_available",
    "on_start",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
]


SWITCH_INTERVAL_S = 0.0005  # a busy main thread keeps a message waiting for this long, not for 5 ms
START_S = 30.0
_ignore_rref_leak = (
    True  # False: `shutdown` raises where RRefs are left (PyTorch's switch, by its name)
)
_default_pickler: Any = _internal_rpc_pickler
on_start: list = []  # functions of an agent: what is attached when a group has formed


def init_rpc(
    name: str,
    backend: Any = None,
    rank: int = -1,
    world_size: int | None = None,
    rpc_backend_options: Any = None,
    *,
    trust: str | None = None,
) -> None:
    """Join the group of workers under `name`; returns when all have joined.

    Parameters
    ----------
    name : str
        Unique in the group: letters, digits, `_`, `:`, `-`, at most 127.
    backend : object, optional
        Accepted for PyTorch's sake: there is one, shared memory.
    rank, world_size : int, optional
        Default: what `init_method` says (`tcp://host:port?rank=0&world_size=2`), the environment's RANK and WORLD_SIZE,
        or what `spawn` knows.
    rpc_backend_options : TensorPipeRpcBackendOptions, optional
        `rpc_timeout` in seconds, `init_method`, which only names the group, and nbgrad's own.
    trust : str, optional
        "any": other workers may call any importable function here, and arguments are pickled.  "registered": only what is
        marked by `rpc.register`, with plain values, tensors, arrays, RRefs and marked dataclasses as arguments, and no
        pickle.  All workers need the same.  Default: the option of that name, the environment's NBGRAD_TRUST, "any".

    Raises
    ------
    RpcError
        If this process is in a group already.
    ValueError, TypeError
        If the name has other characters, rank or world size are not given, backend or options are of
        another type, or an option has no such value.
    StartupError
        If a name is taken, a rank does not come within 30 s, nothing names the group, or versions of nbgrad differ.
    """
    if State.agent is not None:
        raise RpcError("RPC is already initialized: call shutdown() first")
    check_name(name)
    if backend is not None and not isinstance(backend, BackendType):
        raise TypeError(
            f"Argument backend must be a member of BackendType, got {backend!r} of type {type(backend).__name__}"
        )
    options = rpc_backend_options or TensorPipeRpcBackendOptions()
    if not isinstance(options, TensorPipeRpcBackendOptions):
        given = type(options).__name__
        raise TypeError(
            f"`rpc_backend_options` must be a `TensorPipeRpcBackendOptions`: Argument rpc_backend_options must be an instance of "
            f"RpcBackendOptions, and is of type {given}. Could not infer backend for options of that type"
        )
    rank, world_size = place(options.init_method, rank, world_size)
    logs.configure(name)
    trust = chosen("trust", trust or options.trust, LEVELS)
    pickler = chosen("pickler", options.pickler, PICKLERS)
    if trust == "registered" and pickler != PICKLERS[0]:
        raise ValueError(f"trust='registered' sends no code, so pickler={pickler!r} has no meaning")
    codec.Form.pickler = cloud.pickler() if pickler == "cloudpickle" else codec.Pickler
    Trust.only_registered = trust == "registered"
    session = group.join(name, rank, world_size, START_S, options.init_method)
    State.timeout_s = options.rpc_timeout
    agent: Any = Agent(session)
    agent.switch_interval = sys.getswitchinterval()
    try:
        agent.workers = Workers(session.names, rank)
        agent.num_worker_threads = options.num_worker_threads
        agent.calls = Calls(agent, options.max_queued_calls, options.max_queued_bytes)
        agent.rrefs = RRefs(agent)
        agent.meetings = Meetings()
        for attach in on_start:
            attach(agent)
    except (
        BaseException
    ):  # (memory ran out:) the others count on this worker, and must learn that it can't
        session.give_up()
        agent.stop()
        session.leave()
        raise
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    State.agent = agent
    interrupts.install()
    agent.start()
    atexit.register(end_at_exit)
    logger.info("rank %d of the group %s, with pid %d", rank, session.names, os.getpid())


def place(init_method: str, rank: int, world_size: int | None) -> tuple[int, int]:
    """Rank and world size, from elsewhere where they are not given."""
    found = group.rank_and_size(init_method, rank, world_size)
    for value, name in zip(found, ("rank", "world_size")):
        if value is None:
            why = {"rank": "which worker of the group is this?"}.get(
                name, "groups that workers join and leave at will are not supported"
            )
            raise ValueError(
                f"{name} parameter missing, and environment variable {name.upper()} expected, but not set: init_rpc needs "
                f"{name}= (or {name.upper()} in the environment, or ?{name}= in init_method): {why}"
            )
    return cast("tuple[int, int]", found)


def rpc_sync(
    to: Any,
    func: Callable,
    args: Any = None,
    kwargs: dict | None = None,
    timeout: float = UNSET_RPC_TIMEOUT,
) -> Any:
    """Call `func(*args, **kwargs)` on worker `to`, and wait for its value.

    Parameters
    ----------
    to : str, int or WorkerInfo
        The worker.
    func : callable
        A function, class or method that `to` can import by its name.
    args, kwargs : optional
        Its arguments; tensors and arrays arrive as copies.
    timeout : float, optional
        Seconds; 0 waits for ever, default is the agent's (60).

    Raises
    ------
    Exception
        What the function raised, with the remote traceback as its cause.
    RpcTimeout, WorkerDied, RpcEncodeError
        If there is no answer in time, a worker ends, or an argument can't travel.
    """
    return state.send(to, func, args, kwargs, timeout).wait()


def rpc_async(
    to: Any,
    func: Callable,
    args: Any = None,
    kwargs: dict | None = None,
    timeout: float = UNSET_RPC_TIMEOUT,
) -> Future:
    """Call `func(*args, **kwargs)` on worker `to`; a future of its value."""
    future = state.send(to, func, args, kwargs, timeout)
    asked_for = getattr(_thread_local_var, "future_list", None)  # by `_wait_all`
    if asked_for is not None:
        asked_for.append(future)
    return future


def remote(
    to: Any,
    func: Callable,
    args: Any = None,
    kwargs: dict | None = None,
    timeout: float = UNSET_RPC_TIMEOUT,
) -> RRef:
    """Call `func(*args, **kwargs)` on worker `to`, where the value stays; a reference to it, at once.

    An error in `func` is raised when the reference is used.
    """
    agent = state.agent()
    owner = agent.workers.rank(to)
    if not callable(func):
        raise TypeError(f"function should be callable, and {func!r} is not.")
    arguments = state.as_arguments(args)
    rref_id = agent.rrefs.new_id()
    creation: Future | None
    work = rref_id, func, arguments, kwargs
    give_up = functools.partial(agent.rrefs.give_up, owner, rref_id)
    try:
        creation = state.send(owner, create, work, None, timeout, give_up)
    except BaseException:
        agent.rrefs.take_back(rref_id)
        raise
    if owner == agent.rank:
        creation = None
    return RRef.of(agent.rrefs, rref_id, owner, creation, leaks.origin(func))


state.Remote.function = remote


def get_worker_info(worker_name: str | None = None) -> WorkerInfo:
    """The worker of that name; this one if None."""
    workers = state.agent().workers
    return workers.infos[workers.own if worker_name is None else workers.rank(worker_name)]


def get_rpc_timeout() -> float:
    """Seconds that calls may take by default."""
    state.agent()
    return State.timeout_s


def is_available() -> bool:
    """True: remote calls are always there.

    >>> from nbgrad import rpc
    >>> rpc.is_available()
    True
    """
    return True


def _set_rpc_timeout(seconds: float) -> None:
    """Seconds that calls may take from now on where they don't say it themselves; 0 for ever."""
    state.agent()
    check_timeout(seconds)
    State.timeout_s = float(seconds)


@contextlib.contextmanager
def _use_rpc_pickler(rpc_pickler: Any) -> Iterator[None]:
    """Names another object `_default_pickler` in a block, as PyTorch does; messages of nbgrad are pickled by its own.

    To choose how they are: `TensorPipeRpcBackendOptions(pickler=...)`.
    """
    global _default_pickler
    before, _default_pickler = _default_pickler, rpc_pickler
    try:
        yield
    finally:
        _default_pickler = before


def _is_current_rpc_agent_set() -> bool:
    return State.agent is not None


def shutdown(graceful: bool = True, timeout: float = 0) -> None:
    """Leave the group: serve until every worker has come here and nothing is under way, then stop.

    Parameters
    ----------
    graceful : bool
        Wait for the others; else stop at once.
    timeout : float
        Seconds to wait; 0 for ever.

    Raises
    ------
    WorkerDied
        If a worker has ended; this one has left the group all the same.
    RpcTimeout
        If the others did not come in time; likewise.
    ForkedProcessError
        In a process that was forked from a worker.
    RRefError
        If `rpc.api._ignore_rref_leak` is False and this worker still holds RRefs, or values for them; likewise.
    """
    agent = state.agent()
    agent.session.check_process()
    left: list[str] = []
    atexit.unregister(end_at_exit)
    try:
        if graceful:
            agent.rrefs.collect()
            end = time.monotonic() + timeout if timeout else None
            settled = AllReached(agent, LEAVING) if _ignore_rref_leak else leaks.Settled(agent)
            for condition, reached in ((Quiet(agent), LEAVING), (AllReached(agent, LEAVING), None), (settled, None),
                                       (Quiet(agent), DRAINED), (AllReached(agent, DRAINED), None)):  # fmt: skip
                agent.wait(Until(condition, end, agent), serving=True)
                if reached is not None:
                    reach(agent, reached)
    finally:
        if not _ignore_rref_leak or logger.isEnabledFor(logging.INFO):
            left = leaks.left(agent)
            logger.info("leaves the group\n%s", "\n".join([str(statistics()), *left]))
        State.agent = None
        agent.stop()
        sys.setswitchinterval(agent.switch_interval)
        interrupts.restore()
        agent.session.leave()
    if left and not _ignore_rref_leak:
        raise leaks.error(agent.session.name, left)


def end_at_exit() -> None:
    """The process ends without `shutdown`: leave, without waiting for anybody."""
    if State.agent is not None and not State.agent.session.is_forked:
        with contextlib.suppress(Exception):
            shutdown(graceful=False)
