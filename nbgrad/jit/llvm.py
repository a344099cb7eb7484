"""llvmlite's binding, under its own names, imported when one of them is first used: a program that runs no kernel does
without it, and importing nbgrad takes 20 ms less."""

from typing import Any


def __getattr__(name: str) -> Any:
    import llvmlite.binding

    return getattr(llvmlite.binding, name)
