"""Exceptions across workers: type, arguments and traceback travel; the original type is rebuilt where it can be."""

import builtins
import importlib
import pickle
import traceback
from typing import Any

from nbgrad import errors
from nbgrad.errors import RemoteError
from nbgrad.rpc import plain, plain_read
from nbgrad.rpc.trust import Trust, find
from nbgrad.rpc.twofold import original

# Modules whose exceptions are rebuilt in a group of trust "registered", too.
KNOWN: dict[str, dict[str, Any]] = {"builtins": vars(builtins), "nbgrad.errors": vars(errors)}


def pack(error: BaseException, worker: str, rank: int) -> bytes:
    """What the caller's side needs to raise the same exception; never fails."""
    text = getattr(error, "remote_traceback", None)
    if (
        text is None or error.__traceback__ is not None
    ):  # (else it only passes by, and has nothing to add)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    state = None if Trust.only_registered else frozen(error)
    kind = original(type(error))
    return plain.dumps((kind.__module__, kind.__qualname__, str(error), text, state, worker, rank))


def frozen(error: BaseException) -> bytes | None:
    """The exception as a pickle that can be read again: whole, or in parts, whose constructor takes other arguments."""
    for made in (error, (original(type(error)), error.args, vars(error))):
        try:
            state = pickle.dumps(made, 5)
            thawed(state)  # some exceptions pickle, and can't be made again
            return state
        except Exception:
            continue
    return None


def thawed(state: bytes) -> BaseException:
    """What `frozen` was given."""
    made = pickle.loads(state)
    if isinstance(made, BaseException):
        return made
    kind, args, attributes = made
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error


def unpack(data: bytes, what: str) -> BaseException:
    """The exception to raise here: the original type if possible, with a RemoteError as its cause."""
    module, name, message, text, state, worker, rank = plain_read.loads(data)
    cause = RemoteError(
        f"On WorkerInfo(id={rank}, name={worker}): {what} raised {name}: {message}\nRemote traceback:\n{text}"
    )
    facts = {
        "remote_traceback": text,
        "type_name": name,
        "message": message,
        "worker": worker,
        "rank": rank,
    }
    vars(cause).update(facts)
    error = rebuild(module, name, message, state)
    if error is None:
        cause.args = (
            f"{cause}\n(Failed to create original exception type {name} here. Original exception on remote side was {name}: "
            f"{message})",
        )
        return cause
    error.__cause__ = cause
    error.remote_traceback = text
    return error


def headline(error: BaseException) -> str:
    """'message (Type)' of the original, also where its type could not be rebuilt here."""
    facts = vars(error)
    if isinstance(error, RemoteError) and "type_name" in facts:
        return f"{facts['message']} ({facts['type_name']})"
    return f"{error} ({type(error).__name__})"


def rebuild(module: str, name: str, message: str, state: bytes | None) -> Any:
    """An exception of the original type, or None."""
    kind: Any
    try:
        if Trust.only_registered:  # Note [Registered] T3
            kind = KNOWN.get(module, {}).get(name) or find(f"{module}:{name}")
            return kind(message) if issubclass(kind, Exception) else None
        if state is not None:
            error = thawed(state)
            if isinstance(error, Exception):  # SystemExit there must not end the process here
                return error
        kind = builtins if module == "builtins" else importlib.import_module(module)
        for part in name.split("."):
            kind = getattr(kind, part)
        return kind(message) if isinstance(kind, type) and issubclass(kind, Exception) else None
    except Exception:
        return None
