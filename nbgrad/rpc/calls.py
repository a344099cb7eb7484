"""Calls: a function runs on another worker and its value comes back.

    caller                                       callee
    encode arguments, CALL ───────────────────►  Request: decode, run the function in the caller's context
    future is finished  ◄─────────────── REPLY   encode the value (or ERROR: the exception)

A function travels as a number that this caller has given it for that callee (INTERN tells its name once); a call whose
arguments are all tensors has no pickle at all.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from nbgrad.errors import FunctionNotFound, RpcEncodeError
from nbgrad.rpc import codec, remote_error, trust
from nbgrad.rpc.backpressure import HEAVY, LIMIT, MOST_BYTES, Backpressure
from nbgrad.rpc.content import decode, discard
from nbgrad.rpc.future import Future, describe
from nbgrad.rpc.message import (
    CALL,
    ERROR,
    EXTRA,
    H0,
    H3,
    HAS_ARGUMENTS,
    INTERN,
    NOT_STARTED,
    NOTHING,
    PICKLED,
    REPLY,
    SOURCE,
)
from nbgrad.rpc.names import name_of, resolve
from nbgrad.rpc.request import Request
from nbgrad.rpc.serving import Callbacks
from nbgrad.rpc.trust import Trust
from nbgrad.rpc.twofold import of_call
from nbgrad.shm.wire import SENT


class Calls:
    """The calls of one agent, both ways."""

    def __init__(self, agent: Any, most_queued: int = LIMIT, most_bytes: int = MOST_BYTES):
        self.agent = agent
        self.names = agent.session.names
        self.pressure = Backpressure(agent, most_queued, most_bytes)
        self.ids: list[dict] = [{} for _ in range(agent.world)]  # per callee: function -> id
        self.functions: list[dict] = [{} for _ in range(agent.world)]  # per caller: id -> function
        self.interning = threading.Lock()
        agent.on(CALL, self.on_call)
        agent.on(REPLY, self.on_reply)
        agent.on(ERROR, self.on_error)
        agent.on(INTERN, self.on_intern)

    # ------------------------------------------------------------ caller

    def send(
        self,
        target: int,
        function: Callable,
        args: tuple,
        kwargs: dict | None,
        timeout: float,
        on_failure: Any = None,
    ) -> Future:
        """Post the call; its future."""
        agent = self.agent
        trace = agent.trace
        start_ns = time.perf_counter_ns() if trace else 0
        pressure = self.pressure
        if pressure.sent[target] >= pressure.may_send[target]:
            pressure.make_room(target, function, timeout)
        number = self.ids[target].get(function) if getattr(function, "__hash__", None) else None
        if number is None:
            number = self.intern(target, function)
        kind: Any = codec.Tensors.kind
        extra: Any = None
        plain: Any = ()
        for value in args:
            if type(value) is not kind:
                break
        else:
            if number and not kwargs and (len(args) < 2 or len({id(a) for a in args}) == len(args)):
                tensors: Any = args
                kind = None
        if kind is not None:
            what = f"the arguments of {name_of(function)}"
            if number:
                extra, tensors, plain = codec.encode((args, kwargs), what)
                number |= HAS_ARGUMENTS
            else:
                extra, tensors, plain = codec.encode((function, args, kwargs), what)
        call = 0
        n_bytes = len(extra) if extra else 0
        for t in tensors:
            n_bytes += t.array.nbytes
        for a in plain:
            n_bytes += a.nbytes
        try:
            if n_bytes >= HEAVY:
                pressure.make_room(target, function, timeout, n_bytes)
            arrays, context_id, message_id, mask = agent.joint.outgoing(tensors, target, function)
            n_arrays = len(arrays)  # those that belong to tensors
            if plain:
                what = f"an array in the arguments of {name_of(function)}"
                arrays = (*arrays, *[codec.plain(a, what) for a in plain])
            future = Future(agent=agent)
            future.on_failure = on_failure
            future.targets = 1 << target
            future.text = function, self.names[target]
            call = agent.new_call(future)
            if timeout > 0:
                agent.set_deadline(future, timeout)
            header = call, context_id, message_id, number, mask, n_arrays
            if not agent.post(target, 0, CALL, *header, arrays, extra):
                codec.discard(extra, len(tensors), len(plain))
                return future  # which has failed
            pressure.sent[target] += 1
            if n_bytes >= HEAVY:
                pressure.weigh(target, n_bytes)
        except BaseException:
            agent.futures.pop(call, None)
            codec.discard(extra, len(tensors), len(plain))
            raise
        if trace:
            ends = f"{self.names[agent.rank]} -> {self.names[target]}"
            trace("call", f"{name_of(function)}({ends})", start_ns, f"call {agent.rank}.{call}")
        return future

    def intern(self, target: int, function: Callable) -> int:
        """Give the function a number for this callee; 0 if it must be pickled with each call.

        Raises
        ------
        RpcEncodeError
            If it can't be found by its name: a lambda, a local function.
        """
        module, name = (
            getattr(function, "__module__", None),
            getattr(function, "__qualname__", None),
        )
        if Trust.only_registered:
            trust.check_function(function)
        if module is None or name is None or getattr(function, "__self__", None) is not None:
            return PICKLED  # bound methods, partials, callable objects
        try:
            found = resolve(module, name)
        except (ImportError, AttributeError):
            found = None
        if found is not function:
            if codec.Form.pickler is not codec.Pickler:
                return PICKLED  # by value
            raise RpcEncodeError(
                f"can't call {module}.{name} on another worker: functions travel by name, and this name "
                f"{'leads to another object' if found is not None else 'can not be looked up there'}"
                f"{' (a lambda or local function has none)' if '<' in name else ''}. "
                f"Define it at the top level of a module that both workers import, or start the group with "
                f"pickler='cloudpickle', which sends code."
            )
        numbers = self.ids[target]
        with self.interning:  # one number each, told before another thread can use it
            number = numbers.get(function)
            if number is None:
                number = len(numbers) + 1
                told = 0, INTERN, number, 0, 0, 0, 0, 0, (), f"{module}:{name}".encode()
                if target != self.agent.rank and not Trust.only_registered:
                    if self.agent.native_post(target, *told) != SENT:
                        return PICKLED  # it is full, maybe of a stopped worker, and calls have a timeout
                else:
                    self.agent.post(target, *told)
                numbers[function] = number
        return number

    def on_reply(self, message: tuple) -> Any:
        future = self.agent.futures.pop(message[H0], None)
        if future is None or future.finished:
            discard(message)
            return None  # timed out before: no recv node is built
        agent, flags = self.agent, message[H3]
        if agent.trace:
            self.note_reply(message, future)
        value = error = None
        try:
            if flags != NOTHING:
                value = decode(agent, message, flags)
        except Exception as failure:
            error = failure
        callbacks = future.settle(value, error)
        return Callbacks(future, callbacks) if callbacks else None

    def on_error(self, message: tuple) -> Any:
        future = self.agent.futures.pop(message[H0], None)
        if future is None or future.finished:
            return None
        if self.agent.trace:
            self.note_reply(message, future)
        error: BaseException
        try:
            error = of_call(remote_error.unpack(message[EXTRA], describe(future.text)))
        except Exception as failure:  # damaged: this, then, is the error
            error = failure
        callbacks = future.settle(None, error) or []
        if future.on_failure is not None and message[H3] == NOT_STARTED:
            callbacks = [*callbacks, future.on_failure]
        return Callbacks(future, callbacks) if callbacks else None

    def note_reply(self, message: tuple, future: Future) -> None:
        trace = self.agent.trace
        if trace is not None:
            flow = f"call {self.agent.rank}.{message[H0]}"
            trace("reply", describe(future.text), time.perf_counter_ns(), flow)

    # ------------------------------------------------------------ callee

    def on_intern(self, message: tuple) -> None:
        # Whatever the bytes are: who calls by this number is told, not the thread that popped the message.
        self.functions[message[SOURCE]][message[H0]] = (message[EXTRA] or b"").decode(
            errors="replace"
        )

    def on_call(self, message: tuple) -> Request:
        return Request(self, message)

    def function(self, source: int, number: int) -> Callable:
        """The function behind a caller's number; looked up when it is first called."""
        found = self.functions[source][number]
        if type(found) is str:
            module, _, name = found.partition(":")
            try:
                found = trust.find(found) if Trust.only_registered else resolve(module, name)
            except (ImportError, AttributeError) as error:
                raise FunctionNotFound(
                    f"function {module}.{name} does not exist on worker {self.agent.session.names[self.agent.rank]!r}: "
                    f"{error}. Default RPC pickler does not serialize function code: ensure that both workers run the same "
                    f"version of the module."
                ) from error
            self.functions[source][number] = found
        return found
