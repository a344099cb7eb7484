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
import re
import sys
import time
from collections.abc import Callable
from typing import Any, cast

from nbgrad import group, logs
from nbgrad.errors import RpcError
from nbgrad.logs import logger
from nbgrad.rpc import cloud, codec, leaks, state
from nbgrad.rpc.agent import Agent
from nbgrad.rpc.calls import Calls
from nbgrad.rpc.cloud import PICKLERS
from nbgrad.rpc.figures import statistics
from nbgrad.rpc.future import Future, timeout_error
from nbgrad.rpc.gather import Meetings, collected
from nbgrad.rpc.hung import stopped
from nbgrad.rpc.options import BackendType, TensorPipeRpcBackendOptions, check_timeout, chosen
from nbgrad.rpc.owner import create
from nbgrad.rpc.rref import RRef, RRefs
from nbgrad.rpc.state import State
from nbgrad.rpc.trust import LEVELS, Trust
from nbgrad.rpc.workers import WorkerInfo, Workers
from nbgrad.shm import bell, words
from nbgrad.shm.layout import DRAINED, LEAVING, STATE

__all__ = [
    "_get_debug_info",
    "_is_current_rpc_agent_set",
    "_rref_context_get_debug_info",
    "_set_rpc_timeout",
    "debug_info",
    "get_rpc_timeout",
    "get_worker_info",
    "init_rpc",
    "on_start",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
]


UNSET = -1.0
SWITCH_INTERVAL_S = 0.0005  # a busy main thread keeps a message waiting for this long, not for 5 ms
START_S = 30.0
NAME = re.compile("[A-Za-z0-9_:-]{1,127}")
_ignore_rref_leak = (
    True  # False: `shutdown` raises where RRefs are left (PyTorch's switch, by its name)
)
debug_info: list = []  # functions of further entries for `_get_debug_info`
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
        raise TypeError(
            f"rpc_backend_options must be TensorPipeRpcBackendOptions, got {type(options).__name__}"
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
    agent.start()
    atexit.register(end_at_exit)
    logger.info("rank %d of the group %s, with pid %d", rank, session.names, os.getpid())


def check_name(name: Any) -> None:
    """Raise ValueError unless it is a name that PyTorch takes, too."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"worker name {name!r}: a name has 1 to 127 letters, digits and characters of '_', '-' and ':'"
        )


def place(init_method: str, rank: int, world_size: int | None) -> tuple[int, int]:
    """Rank and world size, from elsewhere where they are not given."""
    found = group.rank_and_size(init_method, rank, world_size)
    for value, name in zip(found, ("rank", "world_size")):
        if value is None:
            why = {"rank": "which worker of the group is this?"}.get(
                name, "groups that workers join and leave at will are not supported"
            )
            raise ValueError(
                f"init_rpc needs {name}= (or {name.upper()} in the environment, or ?{name}= in init_method): {why}"
            )
    return cast("tuple[int, int]", found)


def rpc_sync(
    to: Any, func: Callable, args: Any = None, kwargs: dict | None = None, timeout: float = UNSET
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
    to: Any, func: Callable, args: Any = None, kwargs: dict | None = None, timeout: float = UNSET
) -> Future:
    """Call `func(*args, **kwargs)` on worker `to`; a future of its value."""
    future = state.send(to, func, args, kwargs, timeout)
    if collected.futures is not None:
        collected.futures.append(future)
    return future


def remote(
    to: Any, func: Callable, args: Any = None, kwargs: dict | None = None, timeout: float = UNSET
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


def _set_rpc_timeout(seconds: float) -> None:
    """Seconds that calls may take from now on where they don't say it themselves; 0 for ever."""
    state.agent()
    check_timeout(seconds)
    State.timeout_s = float(seconds)


def _is_current_rpc_agent_set() -> bool:
    return State.agent is not None


def _rref_context_get_debug_info() -> dict:
    """Counts of this worker's references, with PyTorch's keys."""
    agent = state.agent()
    pending = sum(not future.finished for future in list(agent.futures.values()))
    values = list(agent.rrefs.values.values())
    return {
        "num_owner_rrefs": str(len(values)),
        "num_forks": "0",  # counted in shared memory, not in lists: Note [RRef lifetime]
        "num_pending_futures": str(pending),
        "num_pending_users": str(sum(not value.finished for value in values)),
    }


def _get_debug_info() -> dict:
    """What this worker's RPC layer is doing, with PyTorch's keys; values are strings."""
    agent = state.agent()
    serving = agent.serving
    calls = sum(not future.finished for future in list(agent.futures.values()))
    info = {
        "agent.client_active_calls": calls,
        "agent.server_active_calls": serving.n_threads - serving.n_idle,
        "agent.server_active_async_calls": 0,
        "agent.num_idle_threads": serving.n_idle,
        "agent.thread_pool_size": serving.n_threads,
    }
    found = {name: str(value) for name, value in info.items()} | _rref_context_get_debug_info()
    for more in debug_info:
        found |= {name: str(value) for name, value in more().items()}
    return found


class AllReached:
    """Finished when every worker's STATE is at least `least`."""

    def __init__(self, agent: Any, least: int):
        self.first = agent.session.segment.address + agent.session.layout.worker(0)
        self.world, self.least = agent.world, least

    @property
    def finished(self) -> bool:
        return bool(bell.all_reached(self.first, self.world, self.least))


class Quiet:
    """Finished when no call of this worker is under way and it runs no request."""

    def __init__(self, agent: Any):
        self.agent = agent

    @property
    def finished(self) -> bool:
        return not self.agent.futures and not self.agent.serving.queue


def reach(agent: Any, value: int) -> None:
    """Set this worker's STATE and tell the others."""
    words.store(agent.own + STATE, value)
    for rank in range(agent.world):
        if rank != agent.rank:
            bell.rouse(agent.binding.worker(rank), 1 << agent.rank)


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
        agent.session.leave()
    if left and not _ignore_rref_leak:
        raise leaks.error(agent.session.name, left)


class Until:
    """A condition with a deadline."""

    is_idle = True  # nobody is told that it takes long
    text = "all workers to call shutdown(), and for what is under way"

    def __init__(self, condition: Any, end: float | None, agent: Any):
        self.condition, self.end, self.agent = condition, end, agent

    @property
    def finished(self) -> bool:
        if self.condition.finished:
            return True
        if self.end is not None and time.monotonic() > self.end:
            layout, base = self.agent.session.layout, self.agent.session.segment.address
            late = [
                name
                for rank, name in enumerate(self.agent.session.names)
                if words.load(base + layout.worker(rank) + STATE) < LEAVING
            ]
            raise timeout_error(
                f"shutdown timed out: workers {late} have not called it and calls may still be under way. This worker "
                f"has left the group.",
                stopped(self.agent.session),
            )
        return False


def end_at_exit() -> None:
    """The process ends without `shutdown`: leave, without waiting for anybody."""
    if State.agent is not None and not State.agent.session.is_forked:
        with contextlib.suppress(Exception):
            shutdown(graceful=False)
