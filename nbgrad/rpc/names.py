"""Names: functions travel by module and name, and errors show them by name."""

import importlib
from typing import Any


def resolve(module: str, name: str) -> Any:
    """The object at `module`.`name`."""
    found: Any = importlib.import_module(
        module
    )  # waits where another thread is importing it right now
    for part in name.split("."):
        found = getattr(found, part)
    return found


def name_of(function: Any) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
