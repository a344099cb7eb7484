"""Anomaly detection: remember where each operation was called, say so when its VJP fails, and let NaN count as a failure.

Off by default, since finding the user's line costs about a microsecond per operation; off it costs one look at a flag.  It is
a setting of this process: operations that run on other workers are noted and checked if it is set there.
"""

import sys
from types import FrameType
from typing import Any

import numpy as np

from nbgrad.errors import NonFiniteError

PACKAGE = __file__.rsplit("/", 2)[0] + "/"


class Trace:
    """`on`: whether operations note their call site; `checks`: whether backward passes look for NaN."""

    on = False
    checks = False


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


def described(node: Any) -> str:
    """A node's operation, and where it was called if that was noted."""
    site = site_of(node)
    return f"op {node.name!r}" + (f", called at {site}" if site else "")


def refuse_nan(node: Any, cotangents: Any) -> None:
    """Raise if a VJP has made a NaN.

    Raises
    ------
    NonFiniteError
        With the operation, which of its inputs the gradient is for, and where the operation was called.
    """
    for k, cotangent in enumerate(cotangents):
        part = (
            getattr(cotangent, "array", cotangent)
            if hasattr(cotangent, "requires_grad")
            else cotangent
        )
        part = getattr(part, "values", part)  # of a sparse one
        if part is not None and np.isnan(part).any():
            raise NonFiniteError(
                f"Function {node.name!r} returned nan values in its {k}th output: {int(np.isnan(part).sum())} of "
                f"{part.size} elements of the gradient for input {k} of {described(node)}. Look at its inputs: 0/0, "
                f"the root or logarithm of 0, or infinities are frequent reasons"
            )


class set_detect_anomaly:  # noqa: N801  (PyTorch's name)
    """Switch the notes on or off; used in a `with` statement, until the end of the block.

    Parameters
    ----------
    mode : bool
        Whether operations note where they were called.
    check_nan : bool
        Whether a backward pass that makes a NaN raises `NonFiniteError`; only with `mode`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.autograd.set_detect_anomaly(True):
    ...     y = nb.ones(1, requires_grad=True) * 2
    >>> y.grad_fn.site is not None
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = Trace.on, Trace.checks
        Trace.on, Trace.checks = bool(mode), bool(mode and check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        Trace.on, Trace.checks = self.previous


class detect_anomaly(set_detect_anomaly):  # noqa: N801  (PyTorch's name)
    """Note call sites and refuse NaN inside of a `with` block.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.autograd.detect_anomaly():
    ...     y = nb.ones(1, requires_grad=True) * 2
    >>> ":" in y.grad_fn.site
    True
    >>> with nb.autograd.detect_anomaly():
    ...     (nb.zeros(1, requires_grad=True).sqrt() * 0).backward()
    Traceback (most recent call last):
    ...
    nbgrad.errors.NonFiniteError: Function 'sqrt' returned nan values in its ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)
