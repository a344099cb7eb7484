"""Compilation: `@kernel`, `@maker`, `inline`, `@fastcall`, `@native`, primitives and the object cache."""

from nbgrad.jit.fastcall import FastCall, fastcall, native
from nbgrad.jit.kernel import Kernel, inline, kernel, load_cached
from nbgrad.jit.maker import maker
from nbgrad.jit.script import ScriptFunction, ScriptModule

__all__ = [
    "FastCall",
    "Kernel",
    "ScriptFunction",
    "ScriptModule",
    "fastcall",
    "inline",
    "kernel",
    "load_cached",
    "maker",
    "native",
]
