"""The RPC layer of this process: at most one agent at a time."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nbgrad.errors import RpcError
from nbgrad.rpc.constants import DEFAULT_RPC_TIMEOUT_SEC
from nbgrad.rpc.future import Future


class State:
    """What `init_rpc` sets and `shutdown` clears."""

    agent: Any = None
    timeout_s: float = DEFAULT_RPC_TIMEOUT_SEC


def agent() -> Any:
    """The agent.

    Raises
    ------
    RpcError
        Before `init_rpc` and after `shutdown`.
    """
    found = State.agent
    if found is None:
        raise RpcError(
            "RPC has not been initialized. Call nbgrad.rpc.init_rpc first. (Current RPC agent is not set! Did you initialize the "
            "RPC framework, and has it not been shut down?)"
        )
    return found


def seconds(timeout: float) -> float:
    """The time-out of a call: the default if `timeout` is unset (-1), 0 for none."""
    return State.timeout_s if timeout is None or timeout < 0 else timeout


def send(
    to: Any,
    function: Callable,
    args: tuple,
    kwargs: dict | None,
    timeout: float,
    on_failure: Any = None,
) -> Future:
    """Post a call to a worker; `on_failure(future)` is called if it can't start there."""
    here = agent()
    here.session.check_process()
    if not callable(function):
        raise TypeError(f"function should be callable, and {function!r} is not.")
    if here.rrefs.deleted:
        here.rrefs.collect()
    given = args if args.__class__ is tuple else as_arguments(args)
    return here.calls.send(
        here.workers.rank(to), function, given, kwargs, seconds(timeout), on_failure
    )


def as_arguments(args: Any) -> tuple:
    """`args` of a call as a tuple.

    Raises
    ------
    TypeError
        If it is a single value: `args=(x)` is x, `args=(x,)` the tuple that is meant.
    """
    if args is None:
        return ()
    is_one = isinstance(args, str | bytes | np.ndarray) or hasattr(args, "requires_grad")
    if is_one or not isinstance(args, Iterable):
        raise TypeError(
            f"args must be a tuple of the function's arguments, and is one {type(args).__name__}; write args=(x,), with a comma"
        )
    return tuple(args)


class Remote:
    """`remote` is in api.py, above RRefs, which need it for their proxies."""

    function: Any = None


def remote(to: Any, function: Callable, args: tuple, kwargs: dict | None, timeout: float) -> Any:
    return Remote.function(to, function, args, kwargs, timeout)
