"""Twofold: an exception of its own type that is a RuntimeError, too.

PyTorch raises errors of callbacks, and of remote functions where they are no ValueError or TypeError, as RuntimeError, and
programs catch them as that; who writes `except KeyError` means the KeyError.  Both find what they look for.
"""

import copyreg
import functools
from typing import Any

KEPT = (ValueError, TypeError)  # PyTorch raises those of remote functions as they are


def of_call(error: BaseException) -> BaseException:
    """What a remote call raises where its function raised this."""
    is_kept = type(error) in KEPT or not isinstance(error, Exception)
    return error if is_kept else with_runtime_error(error)


def with_runtime_error(error: Any) -> Any:
    """The error if it is a RuntimeError, else one like it that also is; the error itself where there can be none.

    Examples
    --------
    >>> from nbgrad.rpc.twofold import with_runtime_error
    >>> error = with_runtime_error(KeyError("k"))
    >>> isinstance(error, KeyError), isinstance(error, RuntimeError), error
    (True, True, KeyError('k'))
    """
    if isinstance(error, RuntimeError):
        return error
    try:
        own: Any = type(error)
        kind = twofold(own)
        if own.__module__ == "builtins":
            made = kind(*error.__reduce__()[1])  # (an OSError's file name is in no other place)
        else:
            made = kind.__new__(kind)
        made.args = error.args
        vars(made).update(vars(error))
    except Exception:  # its class wants no subclass, or has another layout or metaclass
        return error
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made.with_traceback(error.__traceback__)


@functools.cache
def twofold(kind: Any) -> Any:
    """The class of its errors: named like `kind`, as which they are pickled and sent on."""

    def reduce(self: Any, protocol: Any) -> Any:
        made = kind.__reduce_ex__(self, protocol)
        return made if isinstance(made, str) else (original(made[0]), *made[1:])

    names = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__reduce_ex__": reduce,
    }
    return Twofold(kind.__name__, (kind, RuntimeError), names)


class Twofold(type):
    """The class of these classes, which are pickled as those they stand for."""


def itself(kind: Any) -> Any:
    """Its argument: what a pickle of a twofold class calls."""
    return kind


copyreg.pickle(Twofold, lambda kind: (itself, (original(kind),)))


def original(kind: Any) -> Any:
    """The class that a twofold one stands for; any other is its own."""
    return kind.__bases__[0] if isinstance(kind, Twofold) else kind
