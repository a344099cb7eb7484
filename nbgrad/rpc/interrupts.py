"""Interrupts: Ctrl-C ends what the main thread waits for, and never falls where it would lose a message or a lock.

    FREE      user code outside of nbgrad                 Ctrl-C raises at once
    HELD      the role, or a message, is in hand          Ctrl-C is noted, and raised where nothing is in hand
    OPEN      user code called by what is HELD            Ctrl-C raises at once, and the state is HELD again

Note [Interrupts]
~~~~~~~~~~~~~~~~~
Python calls a signal's handler in the main thread, between any two calls of it: also after a lock was taken and before the
`try` that gives it back (! a role that nobody leaves, a message that no handler gets, a reply that is not posted).
I1 (whole)   what is HELD is done to its end, or fails by itself.  The handler looks at the state and changes it in one go,
             because nothing interrupts a handler but a second signal, which finds what the first one has left.
I2 (noticed) who holds looks at `noted` after each slice, and whenever nothing is in hand, and then leaves; `leave` raises.
             A signal ends a slice.  Another one a second after the first raises wherever it falls: nothing is held for ever.
I3 (others)  other threads have no interrupts: they hold `of_others`.  A handler of the user's own is never replaced.
"""

import os
import signal
import threading
import time
from threading import get_ident
from typing import Any

FREE, HELD, OPEN = 0, 1, 2
FORCE_S = 1.0  # a second Ctrl-C this long after one that still waits to be raised raises at once


class Hold:
    """Where a thread is; that of the main thread decides what Ctrl-C does."""

    __slots__ = ("noted", "state", "thread")

    def __init__(self, thread: int = 0):
        self.thread = thread
        self.state = FREE
        self.noted = 0.0  # when the interrupt came that waits to be raised, 0: there is none

    def enter(self) -> int:
        """Hold interrupts from here on; the state of before, for `leave`."""
        before, self.state = self.state, HELD
        return before

    def leave(self, before: int, waited: bool = False) -> None:
        """Nothing is in hand here: back to the state of before.

        Raises
        ------
        KeyboardInterrupt
            If an interrupt has come since, unless the caller holds; and even then after a wait that it has ended.
        """
        self.state = before
        if self.noted and (waited or before != HELD):
            self.interrupt()

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt; whoever has OPENed cleans up undisturbed."""
        self.noted = 0.0
        if self.state == OPEN:
            self.state = HELD
        raise KeyboardInterrupt

    def on_signal(self, number: int, frame: Any) -> None:
        """The handler of SIGINT.

        Examples
        --------
        >>> hold = Hold()
        >>> before = hold.enter()
        >>> hold.on_signal(signal.SIGINT, None)
        >>> try:
        ...     hold.leave(before)
        ... except KeyboardInterrupt:
        ...     print("now it is safe")
        now it is safe
        """
        if self.state != HELD or (self.noted and time.monotonic() - self.noted > FORCE_S):
            self.interrupt()
        self.noted = self.noted or time.monotonic()


of_main, of_others = Hold(threading.main_thread().ident or 0), Hold()


def holder() -> Hold:
    """The hold of this thread (the hot paths have this line instead of a call)."""
    return of_main if get_ident() == of_main.thread else of_others


def install() -> None:
    """Handle SIGINT, if Python itself does until now and this is the main thread."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, of_main.on_signal)


def restore() -> None:
    """Leave SIGINT to Python again, unless somebody else handles it by now."""
    is_ours = signal.getsignal(signal.SIGINT) == of_main.on_signal
    if is_ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def start_again() -> None:
    """In a forked child, whose main thread is the one that forked, and holds nothing."""
    of_main.__init__(get_ident())  # type: ignore[misc]


os.register_at_fork(after_in_child=start_again)
