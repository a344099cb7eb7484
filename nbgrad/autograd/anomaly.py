"""Anomaly detection: remember where each operation was called, and say so when its VJP fails.

Off by default, since finding the user's line costs about a microsecond per operation; off it costs one look at a flag.
"""

import sys
from types import FrameType
from typing import Any

PACKAGE = __file__.rsplit("/", 2)[0] + "/"


class Trace:
    """`on`: whether operations note their call site."""

    on = False


def find_caller() -> tuple[str, int]:
    """(file, line) of the nearest caller outside of nbgrad; ("unknown", 0) if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((PACKAGE, "<op ")):
            return file, frame.f_lineno
        frame = frame.f_back
    return "unknown", 0


def call_site() -> str:
    """'file:line' of the nearest caller outside of nbgrad."""
    file, line = find_caller()
    return f"{file}:{line}" if line else file


def site_of(node: Any) -> str | None:
    """Where the operation of a node was called, if that was noted."""
    return getattr(node, "site", None)


class set_detect_anomaly:  # noqa: N801  (PyTorch's name)
    """Switch the notes on or off; used in a `with` statement, until the end of the block.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.autograd.set_detect_anomaly(True):
    ...     y = nb.ones(1, requires_grad=True) * 2
    >>> y.grad_fn.site is not None
    True
    """

    def __init__(self, mode: bool) -> None:
        self.previous = Trace.on
        Trace.on = bool(mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        Trace.on = self.previous


class detect_anomaly(set_detect_anomaly):  # noqa: N801  (PyTorch's name)
    """Note call sites inside of a `with` block.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.autograd.detect_anomaly():
    ...     y = nb.ones(1, requires_grad=True) * 2
    >>> ":" in y.grad_fn.site
    True
    """

    def __init__(self) -> None:
        super().__init__(True)
