"""Compilation: `@kernel`, `inline`, `@fastcall`, `@native`, primitives and the object cache."""

from nbgrad.jit.fastcall import FastCall, fastcall, native
from nbgrad.jit.kernel import Kernel, inline, kernel, load_cached

__all__ = ["FastCall", "Kernel", "fastcall", "inline", "kernel", "load_cached", "native"]
