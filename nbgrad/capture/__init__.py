"""Recorded training steps: `nb.compile`."""

from nbgrad.capture.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
