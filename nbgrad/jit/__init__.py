"""Compilation: `@kernel`, `@maker`, `inline`, `@fastcall`, `@native`, primitives and the object cache."""

from nbgrad.jit.fastcall import FastCall, fastcall, native
from nbgrad.jit.kernel import Kernel, inline, kernel, load_cached
from nbgrad.jit.maker import maker

__all__ = ["FastCall", "Kernel", "fastcall", "inline", "kernel", "load_cached", "maker", "native"]
