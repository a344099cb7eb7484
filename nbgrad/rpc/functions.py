"""`rpc.functions.async_execution`: a remote function that answers later."""

from collections.abc import Callable
from typing import Any

from nbgrad.errors import DtypeError
from nbgrad.rpc.names import name_of


def async_execution(function: Callable) -> Any:
    """Decorator: the function returns a Future, and the reply is sent when that is done.

    Put it inside `@staticmethod` and `@classmethod`.

    Examples
    --------
    >>> from nbgrad import rpc
    >>> from nbgrad.futures import Future
    >>> @rpc.functions.async_execution
    ... def later():
    ...     return Future()
    """
    function._wrapped_async_rpc_function = function  # type: ignore[attr-defined]
    return function


def no_future(function: Callable, value: Any) -> DtypeError:
    """What is raised where a function that is decorated so returns something else than a Future."""
    return DtypeError(
        f"Functions decorated with @rpc.async_function must return a torch.futures.Future object, but {name_of(function)} "
        f"returned {type(value).__name__}; return a nbgrad.futures.Future, or take the decorator away"
    )
