"""Leaks: which RRefs, and values for them, a worker still has when it leaves; who made them, and where.

An RRef's origin is (function or None, code, last instruction): noted when it is made, put into words only when asked for.
None: it came in a message.
"""

import functools
import gc
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nbgrad.errors import RRefError
from nbgrad.rpc.names import name_of
from nbgrad.shm import words

SETTLE_S = 0.5
PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


@functools.cache
def is_ours(file_name: str) -> bool:
    """Whether the code of this file is nbgrad's, not the user's."""
    return file_name.startswith(PACKAGE)


def origin(function: Any) -> tuple:
    """Where the user's code makes an RRef now: to be called by what `rpc.remote` or `rpc.RRef` calls.

    Each RRef pays for this: no frame beyond the user's is made, and no text compared twice.
    """
    frame = sys._getframe(2)
    code = frame.f_code
    while is_ours(code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
    return function, code, frame.f_lasti


def described(found: Any, creator: str) -> str:
    """An origin in words; `creator` is the worker that made the RRef."""
    if found is None:
        return f"made by {creator!r}, came in a message"
    function, code, last = found
    line = next((n for start, end, n in code.co_lines() if start <= last < end), None)
    what = "RRef(...)" if function is None else f"remote(..., {name_of(function)})"
    return f"made by {what} at {code.co_filename}:{line} in {code.co_name}"


class Settled:
    """Finished when this worker has no RRef and no value for one, or after a while: deletes of others may be under way."""

    is_idle = True
    text = "the deletes of RRefs"

    def __init__(self, agent: Any):
        gc.collect()  # what only a cycle holds is no leak
        self.table, self.end = agent.rrefs, time.monotonic() + SETTLE_S

    @property
    def finished(self) -> bool:
        self.table.collect()
        if not self.table.values and not self.table.n_held():
            return True
        return time.monotonic() > self.end


def alive(table: Any) -> list:
    """The RRefs of this process."""
    kind = table.objects
    return [o for o in gc.get_objects() if type(o) is kind and getattr(o, "table", None) is table]


def elsewhere(agent: Any) -> dict[int, int]:
    """Per value that this worker owns: how many references to it other workers have, and messages carry."""
    table = agent.rrefs
    table.collect()
    here = Counter(rref.rref_id for rref in alive(table))
    return {
        rref_id: max(0, words.load(table.count(rref_id)) - here[rref_id])
        for rref_id in list(table.values)
    }


def left(agent: Any) -> list[str]:
    """A line per RRef that lives in this process, and per value that is kept here for RRefs elsewhere."""
    table = agent.rrefs
    table.collect()
    names = agent.session.names
    here = alive(table)
    lines = []
    for rref in sorted(here, key=lambda one: one.rref_id):
        value = table.values.get(rref.rref_id)
        shown = type_name(value) if value is not None else getattr(rref.kind, "__name__", None)
        of = f" to a {shown}" if shown else ""
        lines.append(
            f"Leaking RRef {rref.rref_id}{of} on {names[rref.owner_rank]!r}: "
            f"{described(rref.origin, names[rref.rref_id >> 48])}"
        )
    held = {rref.rref_id for rref in here}
    for rref_id, value in sorted(table.values.items()):
        # (with no reference anywhere it is no leak: it goes with the message that tells so, or when it is made)
        if rref_id not in held and words.load(table.count(rref_id)) > 0:
            lines.append(
                f"Leaking RRef {rref_id} to a {type_name(value)} on this worker: {words.load(table.count(rref_id))} "
                f"references by other workers; made by {names[rref_id >> 48]!r}"
            )
    return lines


def type_name(value: Any) -> str:
    """The type of an owned value, from its future."""
    if not value.finished:
        return "value that is not made yet"
    return (
        type(value.result).__name__
        if value.error is None
        else f"value whose creation raised {type(value.error).__name__}"
    )


def error(name: str, lines: list[str]) -> RRefError:
    """What `shutdown` raises."""
    return RRefError(
        f"{len(lines)} RRefs were left on worker {name!r} when it left the group: somebody still held them, so their values "
        f"were never freed. Drop them (del, or end the function whose variables hold them) before shutdown().\n"
        + "\n".join(lines)
    )
