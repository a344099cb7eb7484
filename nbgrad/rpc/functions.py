"""`rpc.functions.async_execution`: a remote function that answers later."""

from collections.abc import Callable
from typing import Any


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
