"""Settings of the launcher that its workers start with; rooms above register theirs here.

launcher: collected() ── in the task ──▶ each worker: hand_out(values, its number)
"""

from collections.abc import Callable
from typing import Any

_carried: dict[str, tuple[Callable[[], Any], Callable[[Any, int], None]]] = {}


def carry(name: str, take: Callable[[], Any], give: Callable[[Any, int], None]) -> None:
    """Register a setting.

    Parameters
    ----------
    name : str
        Its name.
    take : callable
        `take()` in the launcher: its value, which can be pickled.
    give : callable
        `give(value, number)` in worker `number`, before anything of the user runs.
    """
    _carried[name] = take, give


def collected() -> dict[str, Any]:
    """The values of all settings now."""
    return {name: take() for name, (take, _) in _carried.items()}


def hand_out(values: dict[str, Any], number: int) -> None:
    """In worker `number`: take over the values."""
    for name, value in values.items():
        _carried[name][1](value, number)
