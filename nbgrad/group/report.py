"""Reports: what a worker that raises leaves for its launcher, in a file without a name that both have open.

Worker k writes at k * ROOM: length, whether it only tells of somebody else's death, then the text.  The launcher reads
when the supervisor has told that the worker ended, so nothing blocks and nothing races.
"""

import os
import struct
from typing import NamedTuple

ROOM = 1 << 20
HEAD = struct.Struct("<QQ")


class Report(NamedTuple):
    """What a worker left: the traceback, and whether its cause is that another worker died."""

    text: str
    is_consequence: bool


def make() -> int:
    """Descriptor of a new, empty file of reports."""
    return os.memfd_create("nbgrad-reports", os.MFD_CLOEXEC)


def write(descriptor: int, worker: int, text: str, is_consequence: bool) -> None:
    """Leave a report; only the last part of a very long one."""
    body = text.encode(errors="replace")[-(ROOM - HEAD.size) :]
    os.pwrite(descriptor, HEAD.pack(len(body), is_consequence) + body, worker * ROOM)


def read(descriptor: int, worker: int) -> Report | None:
    """The report of a worker that has ended, or None: it left none."""
    head = os.pread(descriptor, HEAD.size, worker * ROOM)
    if len(head) < HEAD.size or HEAD.unpack(head)[0] == 0:
        return None
    size, is_consequence = HEAD.unpack(head)
    body = os.pread(descriptor, size, worker * ROOM + HEAD.size)
    return Report(body.decode(errors="replace"), bool(is_consequence))
