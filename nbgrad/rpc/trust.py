"""Trust: what others may call here, and how arguments travel.

    "any"          any importable function, and methods of values; arguments are pickled               (the default)
    "registered"   what this process has marked by `@rpc.register`, and nothing else; arguments go through the codec of
                   plain.py, which makes plain values and instances of marked classes, and runs no code of theirs

Note [Registered]
~~~~~~~~~~~~~~~~~
Assumes  the segment itself is not attacked: all workers of a group can write it (SECURITY.md).
T1 (lookup)   a name in a message is looked up in this table only: nothing is imported, no attribute is followed.
T2 (methods)  a method of an RRef's value is called only if its class is marked, and only by a public name (or `__call__`,
              `__len__`, `__getitem__`) that the class defines as a function.
T3 (data)     no bytes of a message are unpickled: neither arguments and results, nor errors, nor long messages in pieces.
T4 (both)     the caller refuses what it could not send, with its name, and the callee does not rely on that.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from nbgrad.errors import NotRegistered

Thing = TypeVar("Thing")
LEVELS = ("any", "registered")
OPERATORS = ("__call__", "__len__", "__getitem__")


class Trust:
    """Of this process's group; `init_rpc` sets it."""

    only_registered: bool = False


things: dict[str, Any] = {}  # "module:qualified name" -> what is registered
names: dict[int, str] = {}  # id of a registered thing -> that


def register(thing: Thing) -> Thing:
    """Decorator: other workers may call this function, or make and use this class, in a group of trust "registered".

    A class: it can be called; its instances travel if it is a dataclass, an enum or a named tuple; public methods can be
    called through RRefs; and if it is an exception, it is raised as itself on the caller.  Elsewhere it changes nothing.

    Raises
    ------
    TypeError
        If it is neither a function nor a class that can be found by its name.

    Examples
    --------
    >>> from nbgrad import rpc
    >>> @rpc.register
    ... def add(x, y):
    ...     return x + y
    >>> add(1, 2)
    3
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not callable(thing) or not module or not name or getattr(thing, "__self__", None):
        raise TypeError(
            f"can't register {thing!r}: only functions and classes can be called by name; put @rpc.register above a def or "
            f"a class (below @staticmethod)"
        )
    key = f"{module}:{name}"
    things[key] = thing
    names[id(thing)] = key
    return thing


def name_of_registered(thing: Any) -> str | None:
    """The name under which it is registered, or None."""
    name = names.get(id(thing))
    return name if name is not None and things[name] is thing else None


def find(name: str) -> Any:
    """What is registered under a name that came in a message.

    Raises
    ------
    NotRegistered
        If nothing is.
    """
    try:
        return things[name]
    except (KeyError, TypeError):
        raise NotRegistered(
            f"{str(name)[:200]!r} is not registered on this worker, which only lets registered functions be called "
            f"(trust='registered'): put @rpc.register above it, and import its module here before the call"
        ) from None


def check_function(function: Any) -> None:
    """Raise `NotRegistered` if another worker would not run it."""
    if name_of_registered(function) is None:
        shown = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
        raise NotRegistered(
            f"can't call {shown}: this group was started with trust='registered', where only registered functions and "
            f"classes can be called on other workers. Put @rpc.register above its definition; bound methods and partials "
            f"can't be registered (call a registered function with the object as argument, or go through an RRef)"
        )


def method(value: Any, name: str) -> Callable:
    """The method `name` of an RRef's value, if it may be called.

    Raises
    ------
    NotRegistered
        In a group of trust "registered": Note [Registered] T2.
    """
    if not Trust.only_registered:
        return getattr(value, name)
    kind = type(value)
    if isinstance(name, str) and (not name.startswith("_") or name in OPERATORS):
        found = next((vars(c)[name] for c in kind.__mro__ if name in vars(c)), None)
        is_function = isinstance(found, (FunctionType, classmethod, staticmethod))
        if is_function and name_of_registered(kind) is not None:
            return getattr(value, name)
    raise NotRegistered(
        f"can't call {str(name)[:100]!r} of a {kind.__qualname__} here: this group was started with trust='registered', where "
        f"RRefs give access to public methods of registered classes only. Put @rpc.register above the class"
    )
