"""RRef: a reference to a value that lives on one worker.

Note [RRef lifetime]
~~~~~~~~~~~~~~~~~~~~
Each RRef has one count in shared memory, in the rows of the worker that created it; its id is creator << 48 | use << 16 |
row.  The count is the number of RRef objects on all workers plus the messages that carry one.
F1 (never early)  who pickles an RRef adds 1 before the message is posted; who unpickles it takes that 1 over.  So the
                  count is above 0 while an object or a message exists, and no message to the owner is needed for a fork.
F2 (once)         each object gives its 1 back once; fetch_add hands exactly one of them the last, and that worker tells
                  the owner to drop the value, and the creator that the row is free.
F3 (any order)    a delete may overtake the creation: the owner remembers it and drops the value when it comes.
F4 (death)        counts of a dead worker are never given back: values leak until the group ends, and are never freed early.
F5 (confirmed)    an RRef that arrives in a call is counted already (F1), so the function begins at once, as PyTorch's does
                  when the owner has confirmed all of its RRefs.  Its value may not be made yet: who uses it waits for that.
F6 (no value)     a creation that raises, or can't start, is told to each use; one whose time is over is told to the uses of
                  the RRef that `remote` gave.
F7 (left over)    with `rpc.api._ignore_rref_leak = False`, `shutdown` raises on each worker that still holds an RRef, or a
                  value for one, and names them (leaks.py).
"""

import functools
import threading
from collections import deque
from types import GenericAlias
from typing import Any

from nbgrad.errors import RpcTimeout, RRefError, SharedMemoryFull
from nbgrad.rpc import codec, leaks, owner, state
from nbgrad.rpc.future import Future
from nbgrad.rpc.message import H0, H1, RREF
from nbgrad.rpc.serving import UserCode
from nbgrad.rpc.workers import WorkerInfo
from nbgrad.shm import words
from nbgrad.shm.layout import RREFS

# What an RREF message asks: of the owner to drop the value, or to give it up since its function will not run; of the
# creator to reuse the row.
DROP, NEVER_MADE, FREE = range(3)
COMMIT_ROWS = 4096


class RRefs:
    """The table of one worker: values that it owns, and rows of counts that it created."""

    objects: type  # RRef

    def __init__(self, agent: Any):
        self.agent = agent
        self.values: dict[int, Future] = {}
        self.free: deque = deque()
        self.uses: dict[int, int] = {}
        self.lock = threading.Lock()  # of `new_id`
        self.n_made = self.n_given_back = 0  # RRef objects of this process
        self.n_rows = 0
        self.deleted: deque = (
            deque()
        )  # ids whose object has gone; from __del__, which must not post
        agent.on(RREF, self.on_message)
        agent.serving.at_slice_end.append(self.collect)  # a worker that only serves deletes, too

    def new_id(self) -> int:
        """A fresh id with a count of 1."""
        self.collect()
        with self.lock:  # threads that serve make references, too
            if self.free:
                row = self.free.popleft()
            else:
                row = self.n_rows
                if row >= RREFS:
                    raise SharedMemoryFull(
                        f"{RREFS} RRefs created on this worker are alive; drop some"
                    )
                if row % COMMIT_ROWS == 0:
                    session = self.agent.session
                    first = session.layout.rref_row(session.rank, row)
                    session.segment.commit(first, COMMIT_ROWS * 8)
                self.n_rows += 1
            use = self.uses[row] = self.uses.get(row, -1) + 1
        rref_id = self.agent.rank << 48 | use << 16 | row
        words.store(self.count(rref_id), 1)
        return rref_id

    def give_up(self, owner: int, rref_id: int, creation: Future) -> None:
        """The call that should make a value could not start: the owner must know, since others may wait for it."""
        self.agent.post(owner, 0, RREF, rref_id, NEVER_MADE, 0, 0, 0, 0, (), None)

    def take_back(self, rref_id: int) -> None:
        """An id that nobody has been told of is free again."""
        words.store(self.count(rref_id), 0)
        self.free.append(rref_id & 0xFFFF)

    def count(self, rref_id: int) -> int:
        """Address of the count."""
        session = self.agent.session
        return session.segment.address + session.layout.rref_row(rref_id >> 48, rref_id & 0xFFFF)

    def value(self, rref_id: int) -> Future:
        """The value's future on its owner; made by whoever comes first, the creation or a user."""
        future = self.values.get(rref_id)
        if future is None:
            future = self.values.setdefault(rref_id, Future(agent=self.agent))
        return future

    def n_held(self) -> int:
        """RRef objects alive in this process."""
        return max(0, self.n_made - self.n_given_back - len(self.deleted))

    def collect(self) -> None:
        """Give back what `__del__` has put aside (Note [RRef lifetime] F2)."""
        while self.deleted:
            try:
                rref_id, owner = self.deleted.popleft()
            except IndexError:  # another thread was faster
                return
            self.n_given_back += 1
            if words.fetch_add(self.count(rref_id), -1) == 1:
                self.agent.post(owner, 0, RREF, rref_id, DROP, 0, 0, 0, 0, (), None)
                self.agent.post(rref_id >> 48, 0, RREF, rref_id, FREE, 0, 0, 0, 0, (), None)

    def on_message(self, message: tuple) -> Any:
        rref_id = message[H0]
        if message[H1] == FREE:
            self.free.append(rref_id & 0xFFFF)
            return None
        value = self.value(rref_id)
        if message[H1] == NEVER_MADE:
            return NeverMade(value)
        if value.finished:
            del self.values[rref_id]
        else:
            value.add_done_callback(lambda _: self.values.pop(rref_id, None))
        return None


class NeverMade(UserCode):
    """Work: the call that should have made a value could not start; whoever waits for the value is told."""

    def __init__(self, value: Future):
        self.value = value

    def __call__(self) -> None:
        if not self.value.finished:
            error = "the value of this RRef was never made: the call of rpc.remote could not start on its owner"
            self.value.set_exception(
                RRefError(f"{error} (its autograd context may have been released before)")
            )


class RRef:
    """A reference to a value on one worker.

    Parameters
    ----------
    value : object
        The value; this worker becomes its owner.  (`rpc.remote` makes references to values elsewhere.)

    Raises
    ------
    RpcError
        If RPC is not initialized.
    """

    __class_getitem__: Any = classmethod(GenericAlias)  # `RRef[Tensor]`, in annotations

    def __init__(self, value: Any, type_hint: Any = None):
        table = state.agent().rrefs
        self._fill(table, table.new_id(), table.agent.rank, None, leaks.origin(None))
        table.value(self.rref_id).set_result(value)

    def _fill(
        self, table: RRefs, rref_id: int, owner: int, creation: Future | None, origin: Any
    ) -> None:
        self.table, self.rref_id, self.owner_rank, self.creation = table, rref_id, owner, creation
        self.origin = origin
        self.kind: Any = None  # the value's type, once asked for
        table.n_made += 1
        self.fork = table.n_made  # for its name: which of this worker's objects it is

    @classmethod
    def of(
        cls, table: RRefs, rref_id: int, owner: int, creation: Future | None, origin: Any
    ) -> "RRef":
        """An object that takes over one count of an existing RRef.  `origin`: see leaks.py."""
        self = cls.__new__(cls)
        self._fill(table, rref_id, owner, creation, origin)
        return self

    def __del__(self) -> None:
        table = getattr(self, "table", None)
        if table is not None and not table.agent.closing:
            table.deleted.append((self.rref_id, self.owner_rank))

    def owner(self) -> WorkerInfo:
        """The worker that holds the value."""
        return self.table.agent.workers.infos[self.owner_rank]

    def owner_name(self) -> str:
        """Its name."""
        return self.owner().name

    def is_owner(self) -> bool:
        """Whether this worker holds the value."""
        return self.owner_rank == self.table.agent.rank

    def confirmed_by_owner(self) -> bool:
        """Whether the owner is known to have the value (or to have failed to make it)."""
        return self.is_owner() or self.creation is None or self.creation.done()

    def local_value(self) -> Any:
        """The value itself, on its owner.

        Raises
        ------
        RRefError
            On any other worker.
        """
        if not self.is_owner():
            me = self.table.agent.workers.infos[self.table.agent.rank]
            name, fork = self.names()
            raise RRefError(
                f"For UserRRef(rref_id={name}, fork_id={fork}), can't call localValue() on user {me}. Call it on owner "
                f"{self.owner()}, or fetch a copy with to_here()."
            )
        return self.owned(0.0)

    def to_here(self, timeout: float = -1) -> Any:
        """The value: the object itself on its owner, a copy elsewhere.

        Raises
        ------
        Exception
            What the function of `rpc.remote` raised.
        RpcTimeout
            After `timeout` seconds (default: the agent's; 0: never).
        """
        if self.is_owner():
            return self.owned(state.seconds(timeout))
        self.check_creation()
        return state.send(self.owner_rank, owner.fetch, (self.rref_id,), None, timeout).wait()

    def confirm(self) -> None:
        """Wait until the value is there; raises what its function raised."""
        if self.is_owner():
            self.owned(0.0)
        elif self.creation is not None:
            self.creation.wait()

    def owned(self, timeout_s: float) -> Any:
        """The value, on its owner, waiting at most `timeout_s` (0: for ever)."""
        agent = self.table.agent
        future = self.table.value(self.rref_id)
        if not future.finished:
            agent.follow(future, f"the value of {self!r}", timeout_s).wait()
        if future.error is None:
            return future.result
        raise owner.kept(future.error)  # a copy: what is raised keeps the frames that it passes

    def _get_type(self, timeout: float = -1, blocking: bool = True) -> Any:
        """The type of the value, asked of its owner once; a future of it if not `blocking`.

        Raises
        ------
        Exception
            What the function of `rpc.remote` raised.
        RpcTimeout
            After `timeout` seconds (default: the agent's; 0: never).
        """
        if self.kind is not None:
            return self.kind if blocking else Future.finished_with(self.kind)
        if blocking and self.is_owner():
            self.kind = type(self.owned(state.seconds(timeout)))
            return self.kind
        self.check_creation()
        future = state.send(self.owner_rank, owner.kind, (self.rref_id,), None, timeout)
        if not blocking:
            # The reference lives until the answer is there: its end could overtake the question on the owner.
            future.add_done_callback(functools.partial(keep, self))
            return future
        self.kind = future.wait()
        return self.kind

    def _get_future(self) -> Future:
        """Finished when the owner has made the value, or failed to."""
        if self.is_owner():
            return self.table.value(self.rref_id)
        return self.creation or Future.finished_with(None)

    _get_profiling_future = _get_future  # PyTorch's name for the end of the event of `rpc.remote`

    def check_creation(self) -> None:
        """Raise what is known to be wrong with this reference: its group has ended, or its value could not be made."""
        if self.table.agent.closing:
            raise RRefError(
                f"RRef {self.rref_id} is of a group that this worker has left: Cannot call to_here() on it after deletion."
            )
        creation = self.creation
        if creation is None or not creation.done() or creation.error is None:
            return
        if isinstance(creation.error, RpcTimeout):
            raise RpcTimeout(
                f"RRef creation via rpc.remote() timed out, and it is possible that the RRef on the owner node does not exist: "
                f"{creation.error}"
            ) from creation.error
        raise creation.error

    def rpc_sync(self, timeout: float = -1) -> "Proxy":
        """Methods of the value, called on its owner, waiting for the result: `rref.rpc_sync().method(x)`."""
        return Proxy(self, timeout, lambda future: future.wait())

    def rpc_async(self, timeout: float = -1) -> "Proxy":
        """As `rpc_sync`, giving futures."""
        return Proxy(self, timeout, lambda future: future)

    def remote(self, timeout: float = -1) -> "Proxy":
        """As `rpc_sync`, giving RRefs to the results."""
        return Proxy(self, timeout, None)

    def __reduce__(self) -> Any:
        raise RRefError(
            "Can not pickle rref in python pickler, rref can only be pickled when using RPC"
        )

    def __repr__(self) -> str:
        name, fork = self.names()
        return (
            f"OwnerRRef({name})"
            if self.is_owner()
            else f"UserRRef(RRefId = {name}, ForkId = {fork})"
        )

    def names(self) -> tuple[str, str]:
        """Its name, which all objects for the same value share, and this object's."""
        rref_id, rank = self.rref_id, self.table.agent.rank
        return (
            f"GloballyUniqueId(created_on={rref_id >> 48}, local_id={rref_id & (1 << 48) - 1})",
            f"GloballyUniqueId(created_on={rank}, local_id={self.fork})",
        )


RRefs.objects = RRef


def keep(rref: RRef, future: Future) -> None:
    """A callback that does nothing but hold a reference."""


class Proxy:
    """`rref.rpc_sync()` and friends: attribute access names a method of the value."""

    def __init__(self, rref: RRef, timeout: float, finish: Any):
        self._rref, self._timeout, self._finish = rref, timeout, finish

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__call__", "__len__", "__getitem__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._call(name, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call("__call__", args, kwargs)

    def _call(self, name: str, args: tuple, kwargs: dict) -> Any:
        rref = self._rref
        if self._finish is None:
            if self._timeout > 0:  # as in PyTorch, which asks for the value's type first
                rref._get_type(self._timeout)
            return state.remote(
                rref.owner_rank, owner.invoke, (rref, name, args, kwargs), None, self._timeout
            )
        future = state.send(
            rref.owner_rank, owner.invoke, (rref, name, args, kwargs), None, self._timeout
        )
        return self._finish(future)


def reduce(rref: RRef) -> tuple:
    """How an RRef travels: F1."""
    if rref.table.agent.closing:
        raise RRefError(
            f"RRef {rref.rref_id} is of a group that this worker has left: Cannot call fork an UserRRef after deletion."
        )
    words.fetch_add(rref.table.count(rref.rref_id), 1)
    return rebuild, (rref.rref_id, rref.owner_rank)


def rebuild(rref_id: int, owner_rank: int) -> RRef:
    world = state.agent().world
    if not (0 <= rref_id >> 48 < world and 0 <= owner_rank < world):
        raise ValueError(f"no RRef has the id {rref_id}, or the owner {owner_rank}")
    return RRef.of(state.agent().rrefs, rref_id, owner_rank, None, None)


def reduce_back(rref: RRef) -> None:
    """The message that `reduce` counted is never posted."""
    words.fetch_add(rref.table.count(rref.rref_id), -1)  # not the last: the object has its own


codec.reducers[RRef] = reduce, reduce_back, rebuild
codec.marks.append(rebuild.__module__.encode())
