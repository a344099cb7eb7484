"""Meeting points of workers over RPC: `_all_gather`, `_barrier`, and `_wait_all` for the futures of a block.

The worker with the lowest name collects what the others bring, and answers when all are there; nobody blocks a thread.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nbgrad.errors import RpcTimeout
from nbgrad.rpc import state
from nbgrad.rpc.constants import DEFAULT_SHUTDOWN_TIMEOUT
from nbgrad.rpc.future import Future, timeout_error, wait_all
from nbgrad.rpc.hung import stopped
from nbgrad.rpc.trust import register

__all__ = [
    "Meetings",
    "_all_gather",
    "_barrier",
    "_thread_local_var",
    "_wait_all",
    "_wait_all_workers",
]


class Meetings:
    """On the leader: what has been brought, per meeting."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.brought: dict = {}  # (members, number) -> (values by name, future of all)
        self.n_held: dict = {}  # members -> meetings that this worker has taken part in

    def next_number(self, members: tuple) -> int:
        with self.lock:
            number = self.n_held[members] = self.n_held.get(members, 0) + 1
        return number

    def bring(self, members: tuple, number: int, name: str, value: Any) -> Future:
        """A value has come; the future of all values."""
        with self.lock:
            values, future = self.brought.setdefault((members, number), ({}, Future()))
            values[name] = value
            complete = len(values) == len(members)
            if complete:
                del self.brought[members, number]
        if complete:
            future.set_result(values)
        return future


def bring(members: tuple, number: int, name: str, value: Any) -> Future:
    """On the leader: `Meetings.bring` for a caller."""
    return state.agent().meetings.bring(members, number, name, value)


register(bring)._wrapped_async_rpc_function = bring  # type: ignore[attr-defined]


def _all_gather(obj: Any, worker_names: Sequence[str] | None = None, timeout: float = -1) -> dict:
    """Every worker's object: {name: object}, on all workers of `worker_names` (default: the whole group).

    Raises
    ------
    RpcTimeout
        If not all have come within `timeout` seconds.
    """
    agent = state.agent()
    names = worker_names if worker_names is not None else agent.session.names
    members = tuple(sorted(names))
    own = agent.session.names[agent.rank]
    if own not in members:
        raise ValueError(f"worker {own!r} is not one of those that meet: {members}")
    number = agent.meetings.next_number(members)
    try:
        return state.send(members[0], bring, (members, number, own, obj), None, timeout).wait()
    except RpcTimeout as error:
        raise timeout_error(
            f"Followers timed out in _all_gather after {state.seconds(timeout):.2f} seconds ({error}): not all of "
            f"{members} have come. Each must call it as often as the others.",
            stopped(agent.session),
        ) from error


def _barrier(worker_names: Sequence[str] | None = None) -> None:
    """Wait until all workers of `worker_names` are here."""
    _all_gather(None, worker_names)


def _wait_all_workers(timeout: float = DEFAULT_SHUTDOWN_TIMEOUT) -> None:
    """Wait until all workers of the group have called this, at most `timeout` seconds (0: for ever).

    Raises
    ------
    RpcTimeout
        If they have not.
    """
    _all_gather(None, timeout=timeout)


# `.future_list`: futures of this thread's `rpc_async` calls; there is one inside of a `_wait_all` block only
_thread_local_var = threading.local()


@contextmanager
def _wait_all() -> Iterator[None]:
    """Wait, at the end of the block, for all `rpc_async` calls that this thread made in it."""
    before = getattr(_thread_local_var, "future_list", None)
    _thread_local_var.future_list = []
    try:
        yield
        wait_all(_thread_local_var.future_list)
    finally:
        if before is None:
            del _thread_local_var.future_list
        else:
            _thread_local_var.future_list = before
