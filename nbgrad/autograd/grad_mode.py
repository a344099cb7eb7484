"""Whether operations record a graph: on by default, switched per thread.

Notes
-----
Every op reads the mode, and a `threading.local` costs more to read than a small op's kernel.  So
`switch.n_off` counts the threads that have recording off, and while it is 0 nobody looks further:

    recording = not switch.n_off or thread.enabled

The count may stay above 0 when a thread ends with recording off: reading is slower then, not wrong.
"""

import functools
import inspect
import threading
from types import TracebackType
from typing import Any


class Thread(threading.local):
    """This thread's own mode."""

    enabled = True


class Switch:
    """`n_off`: how many threads have recording off."""

    __slots__ = ("n_off",)

    def __init__(self) -> None:
        self.n_off = 0


thread = Thread()
switch = Switch()
lock = threading.Lock()


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.is_grad_enabled()
    True
    """
    return not switch.n_off or thread.enabled


def set_enabled(enabled: bool) -> bool:
    """Set this thread's mode and return the previous one."""
    previous = thread.enabled
    if previous != enabled:
        with lock:
            switch.n_off += -1 if enabled else 1
        thread.enabled = enabled
    return previous


class Mode:
    """A mode for the length of a `with` block or of a decorated function."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.previous: list[bool] = []  # a stack: one object may be entered more than once

    def __enter__(self) -> None:
        self.previous.append(set_enabled(self.enabled))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        set_enabled(self.previous.pop())

    def __call__(self, function: Any) -> Any:
        enabled = self.enabled

        if inspect.isgeneratorfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator: its body runs between other code, so a mode around "
                f"the call would not cover it; use `with` inside the generator"
            )

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            previous = set_enabled(enabled)
            try:
                return function(*args, **kwargs)
            finally:
                set_enabled(previous)

        return wrapper


class no_grad(Mode):  # noqa: N801  (PyTorch's name)
    """Record nothing in this `with` block or decorated function.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(2, requires_grad=True)
    >>> with nb.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        self.__init__()  # type: ignore[misc]
        return self(function)  # used as `@no_grad` without parentheses

    def __init__(self, function: Any = None) -> None:
        super().__init__(False)


class inference_mode(Mode):  # noqa: N801  (PyTorch's name)
    """As `no_grad`; with `mode=False`, as `enable_grad`."""

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if isinstance(mode, bool):
            return self
        self.__init__()  # type: ignore[misc]
        return self(mode)  # used as `@inference_mode` without parentheses

    def __init__(self, mode: Any = True) -> None:
        super().__init__(not mode)


class enable_grad(Mode):  # noqa: N801  (PyTorch's name)
    """Record again, inside a block that does not.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.no_grad(), nb.enable_grad():
    ...     nb.is_grad_enabled()
    True
    """

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        self.__init__()  # type: ignore[misc]
        return self(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__(True)


class set_grad_enabled(Mode):  # noqa: N801  (PyTorch's name)
    """Set the mode now; used in a `with` statement, until the end of the block.

    Examples
    --------
    >>> import nbgrad as nb
    >>> with nb.set_grad_enabled(False):
    ...     nb.is_grad_enabled()
    False
    >>> nb.is_grad_enabled()
    True
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.before = set_enabled(self.enabled)

    def __enter__(self) -> None:
        self.previous.append(self.before)
        set_enabled(self.enabled)

    def __call__(self, function: Any) -> Any:
        set_enabled(self.before)  # as a decorator it covers the function only
        return super().__call__(function)
