"""Effects: where a step works together with other workers, seen while it is recorded.

Nobody who replays would call, meet or wait for anybody: such a step is no program.  All ways to others lead through few
places, and what stands in them while a recorder works notes the call and makes it.

    ProcessGroup.check, .begin     collectives, send and recv, steps on shared parameters
    ProcessGroup.close             leaving a group
    Transfer.__init__              isend and irecv, which go on in threads of their own
    Agent.post, .wait              remote calls, also to oneself; RRefs; leaving
    Future.wait, RRef.to_here, .local_value    what others have made, or will
    Contexts.new, .find; Engine.backward       distributed autograd, also within one worker
"""

import contextlib
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from nbgrad.collectives import membership
from nbgrad.collectives.point_to_point import Transfer
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.dist_autograd.context import Contexts
from nbgrad.dist_autograd.engine import Engine
from nbgrad.rpc.agent import Agent
from nbgrad.rpc.future import Future
from nbgrad.rpc.rref import RRef

PLACES: tuple[tuple[type, str], ...] = (
    (ProcessGroup, "check"),
    (ProcessGroup, "close"),
    (Transfer, "__init__"),
    (Agent, "post"),
    (Agent, "wait"),
    (Future, "wait"),
    (RRef, "to_here"),
    (RRef, "local_value"),
    (Contexts, "new"),
    (Contexts, "find"),
    (Engine, "backward"),
)
WITHIN = ("nbgrad.", "contextlib")  # `with context()` enters nbgrad through contextlib
OTHERS = ("nbgrad.collectives.", "nbgrad.rpc.", "nbgrad.dist_autograd.", "nbgrad.parallel.")


def reason_of(frame: FrameType | None, name: str = "") -> str:
    """Why a step that is in this frame can't be replayed: it has called `name`, or what stands outside that in nbgrad."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(WITHIN):
        if not frame.f_globals["__name__"].startswith("contextlib"):
            name = frame.f_code.co_qualname
        frame = frame.f_back
    return f"it calls {name}(), in which other workers may take part"


@contextlib.contextmanager
def noticed(notice: Callable[[str], None]) -> Iterator[None]:
    """Call `notice(name of the place)` before each effect, in the thread that wants it."""

    def before(function: Callable, name: str) -> Callable:
        def run(*args: Any, **kwargs: Any) -> Any:
            notice(name)
            return function(*args, **kwargs)

        return run

    with contextlib.ExitStack() as stack:
        for owner, name in PLACES:
            function = vars(owner)[name]
            setattr(owner, name, before(function, f"{owner.__name__}.{name}"))
            stack.callback(setattr, owner, name, function)
        for group in membership.State.groups:
            begin = group.begin
            group.begin = ours = before(begin, "begin")
            stack.callback(put_back, group, ours, begin)
        yield


def put_back(group: ProcessGroup, ours: Any, begin: Any) -> None:
    """The native call again, unless the group has ended meanwhile."""
    if group.begin is ours:
        group.begin = begin
