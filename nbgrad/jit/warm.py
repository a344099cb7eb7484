"""Warming up: everything of the package that can be compiled, compiled before somebody waits for it.

Each process that takes part imports the same modules, so it finds the same objects under the same names; a name that
another process makes meanwhile is waited for by the store.
"""

import os
from collections.abc import Callable

from nbgrad.jit import store
from nbgrad.jit.kernel import sources


def objects() -> dict[str, Callable[[], bytes]]:
    """What the store can hold for the package's imported modules: {name: function that makes it}."""
    package = f"{store.PACKAGE}{os.sep}"
    ours = [s for s in list(sources) if s.__wrapped__.__code__.co_filename.startswith(package)]
    return {name: make for source in ours for name, make in source.objects()}


def missing() -> list[str]:
    """Names of the objects that the store does not hold.

    Examples
    --------
    >>> from nbgrad.jit import warm
    >>> set(warm.missing()) <= set(warm.objects())
    True
    """
    return [name for name in objects() if store.load(name) is None]


def make(name: str) -> str:
    """Compile one object into the store; its name.

    Raises
    ------
    KeyError
        If no imported module has such an object.
    """
    store.load_or_make(name, objects()[name])
    return name
