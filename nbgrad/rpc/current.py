"""The agent as programs written for PyTorch see it: `rpc._get_current_rpc_agent().get_worker_infos()`."""

import os
import time
from typing import Any

from nbgrad.rpc import leaks, state
from nbgrad.rpc.workers import WorkerInfo

__all__ = [
    "TensorPipeAgent",
    "_delete_all_user_and_unforked_owner_rrefs",
    "_get_current_rpc_agent",
    "_get_debug_info",
    "_rref_context_get_debug_info",
    "debug_info",
    "enable_gil_profiling",
]

debug_info: list = []  # functions of further entries for `_get_debug_info`


class Gil:
    """Whether `_get_debug_info` tells how long a thread waits for the interpreter's lock."""

    is_asked_for = False


def enable_gil_profiling(flag: bool) -> None:
    """Let `_get_debug_info` have the entry `agent.gil_average_wait_time_us`, or not (the default)."""
    Gil.is_asked_for = bool(flag)


def gil_wait_us(n: int = 10) -> float:
    """What giving the interpreter's lock away and taking it back costs this thread now: the mean of n times."""
    start = time.perf_counter()
    for _ in range(n):
        os.sched_yield()
    return (time.perf_counter() - start) / n * 1e6


class TensorPipeAgent:
    """What PyTorch's class of that name tells of the workers and of itself."""

    def get_worker_info(self, worker: Any = None) -> WorkerInfo:
        """The worker of that name or rank; this one if None.

        Raises
        ------
        RpcError
            If there is no such worker.
        """
        workers = state.agent().workers
        return workers.infos[workers.own if worker is None else workers.rank(worker)]

    def get_worker_infos(self) -> list[WorkerInfo]:
        """All workers of the group, by rank."""
        return list(state.agent().workers.infos)

    def get_debug_info(self) -> dict[str, str]:
        """The entries of `rpc._get_debug_info()` that concern the agent."""
        return {name: text for name, text in _get_debug_info().items() if name.startswith("agent.")}


def _get_current_rpc_agent() -> TensorPipeAgent:
    """The agent of this worker.

    Raises
    ------
    RpcError
        Before `init_rpc` and after `shutdown`.
    """
    state.agent()
    return TensorPipeAgent()


def _rref_context_get_debug_info() -> dict:
    """Counts of this worker's references, with PyTorch's keys.

    num_owner_rrefs: values here that other workers, or messages, refer to, or that are not made yet; num_forks: how many
    such references there are.
    """
    agent = state.agent()
    pending = sum(not future.finished for future in list(agent.futures.values()))
    values = dict(agent.rrefs.values)
    forks = leaks.elsewhere(agent)
    return {
        "num_owner_rrefs": str(
            sum(forks[rref_id] > 0 or not made.finished for rref_id, made in values.items())
        ),
        "num_forks": str(sum(forks.values())),
        "num_pending_futures": str(pending),
        "num_pending_users": str(sum(not value.finished for value in values.values())),
    }


def _get_debug_info() -> dict:
    """What this worker's RPC layer is doing, with PyTorch's keys; values are strings."""
    agent = state.agent()
    serving = agent.serving
    calls = sum(not future.finished for future in list(agent.futures.values()))
    at_work = serving.n_threads - serving.n_idle
    size = max(
        agent.num_worker_threads, serving.n_threads
    )  # they start when there is work for them
    info = {
        "agent.client_active_calls": calls,
        "agent.server_active_calls": at_work,
        "agent.server_active_async_calls": 0,
        "agent.num_idle_threads": size - at_work,
        "agent.thread_pool_size": size,
    }
    if Gil.is_asked_for:
        info["agent.gil_average_wait_time_us"] = gil_wait_us()
    found = {name: str(value) for name, value in info.items()} | _rref_context_get_debug_info()
    for more in debug_info:
        found |= {name: str(value) for name, value in more().items()}
    return found


def _delete_all_user_and_unforked_owner_rrefs(timeout: float = 0.0) -> None:
    """Give back all references of this worker whose objects are gone; `shutdown` does so by itself."""
    state.agent().rrefs.collect()
