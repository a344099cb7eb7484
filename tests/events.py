"""Events by name in each worker: code that ends when a test says so, not after some time.

    name = new()                                     worker 1
    future = rpc.rpc_async(1, late, (name,)) ──►     late(name) waits
    rpc.rpc_sync(1, has_begun, (name,))      ──►     it waits by now
    rpc.rpc_sync(1, finish, (name,))         ──►     late(name) returns True

So a test can say what came before what, however busy the machine is.
"""

import itertools
import os
import threading

WAIT_S = 10.0  # for an event that must come
PROMPT_S = (
    3.0  # what must come at once has come, also on a busy machine; long before WAIT_S is over
)

numbers = itertools.count()
events: dict[str, threading.Event] = {}


def new():
    """A name that no other test of this group uses."""
    return f"{os.getpid()}-{next(numbers)}"


def event(name):
    return events.setdefault(name, threading.Event())


def late(name):
    """Ends when `finish(name)` was called in this worker; whether it was."""
    event(f"{name} has begun").set()
    return event(name).wait(WAIT_S)


def has_begun(name):
    """Waits until `late(name)` runs in this worker; whether it does."""
    return event(f"{name} has begun").wait(WAIT_S)


def finish(name):
    event(name).set()
