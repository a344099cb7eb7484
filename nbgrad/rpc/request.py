"""Request: a call that has arrived; it runs the function in the caller's context and answers.

decode the arguments, run the function ──► REPLY with the value, or ERROR with the exception
"""

import functools
import threading
import time
from threading import get_ident
from typing import Any

from nbgrad.rpc import codec, remote_error
from nbgrad.rpc.content import discard, unpickle
from nbgrad.rpc.functions import no_future
from nbgrad.rpc.future import Future
from nbgrad.rpc.interrupts import HELD, OPEN, of_main, of_others
from nbgrad.rpc.message import (
    ARRAYS,
    ERROR,
    FUNCTION_ID,
    H0,
    H1,
    H2,
    H3,
    H4,
    HAS_ARGUMENTS,
    NOT_STARTED,
    NOTHING,
    ONE_TENSOR,
    REPLY,
    SOURCE,
    STARTED,
)
from nbgrad.rpc.names import name_of
from nbgrad.rpc.serving import UserCode
from nbgrad.shm import words
from nbgrad.shm.layout import BEGUN


class Request(UserCode):
    """A call that has arrived, to be run on a serving thread."""

    __slots__ = ("calls", "message")

    def __init__(self, calls: Any, message: tuple):
        self.calls, self.message = calls, message

    def __str__(self) -> str:
        number = self.message[H3] & FUNCTION_ID
        found = self.calls.functions[self.message[SOURCE]].get(number, "a pickled function")
        return f"the result of {found if type(found) is str else name_of(found)}"

    def __call__(self) -> None:
        calls, message = self.calls, self.message
        agent = calls.agent
        source, context_id = message[SOURCE], message[H1]
        joint = agent.joint
        words.fetch_add(
            agent.own + BEGUN + 8 * source, 1
        )  # Note [Room]: its caller may send one more
        trace = agent.trace
        start_ns = time.perf_counter_ns() if trace else 0
        try:
            previous = joint.enter(context_id, message[H4])
        except Exception as error:  # its context has been released meanwhile
            discard(message)
            self.reply_error(error, NOT_STARTED)
            return
        progress = NOT_STARTED
        hold = of_main if get_ident() == of_main.thread else of_others
        try:
            number = message[H3]
            if number and not number & HAS_ARGUMENTS:
                function = calls.function(source, number)
                hold.state = OPEN
                value = function(
                    *joint.incoming(source, context_id, message[H2], message[H4], message[ARRAYS])
                )
            else:
                content = unpickle(agent, message)
                if number:
                    (args, kwargs), function = content, calls.function(source, number & FUNCTION_ID)
                else:
                    function, args, kwargs = content
                progress = STARTED
                hold.state = OPEN
                value = function(*args, **kwargs) if kwargs else function(*args)
            hold.state = HELD  # Ctrl-C comes before the reply, or after it
            if trace:  # before the reply: whoever has it may stop the profile
                self.note(trace, start_ns)
                trace = None
            if not hasattr(function, "_wrapped_async_rpc_function"):
                self.reply(value)
            elif isinstance(value, Future):
                value.add_done_callback(functools.partial(self.reply_later, context_id))
            else:
                raise no_future(function, value)
        except BaseException as error:
            hold.state = HELD
            if trace:
                self.note(trace, start_ns)
            self.reply_error(error, progress)
            if is_interrupt(error):
                raise
        finally:
            # The send function of the reply keeps this request to describe itself, and must not keep the arguments.
            self.message = message[:ARRAYS]
            joint.leave(previous)

    def refuse(self, error: BaseException) -> None:
        """Answer without having run."""
        agent, message = self.calls.agent, self.message
        words.fetch_add(agent.own + BEGUN + 8 * message[SOURCE], 1)
        discard(message)
        self.reply_error(error, NOT_STARTED)

    def note(self, trace: Any, start_ns: int) -> None:
        agent, source = self.calls.agent, self.message[SOURCE]
        names = agent.session.names
        what = str(self).removeprefix("the result of ")
        flow = f"call {source}.{self.message[H0]}"
        trace("request", f"{what}({names[source]} -> {names[agent.rank]})", start_ns, flow)

    def reply(self, value: Any) -> None:
        agent, message = self.calls.agent, self.message
        source, call = message[SOURCE], message[H0]
        extra: Any = None
        plain: Any = ()
        tensors: Any
        flags = 0
        if type(value) is codec.Tensors.kind:
            tensors, flags = [value], ONE_TENSOR
        elif value is None:
            tensors, flags = [], NOTHING
        else:
            extra, tensors, plain = codec.encode(value, "the result of a remote call")
        try:
            arrays, context_id, message_id, mask = agent.joint.outgoing(tensors, source, self)
            n_arrays = len(arrays)
            if plain:
                what = "an array in the result of a remote call"
                arrays = (*arrays, *[codec.plain(a, what) for a in plain])
            header = call, context_id, message_id, flags, mask, n_arrays
            agent.post(source, 0, REPLY, *header, arrays, extra)
        except BaseException:
            codec.discard(extra, len(tensors), len(plain))
            raise

    def reply_later(self, context_id: int, future: Future) -> None:
        joint = self.calls.agent.joint
        try:
            previous = joint.enter(context_id, self.message[H4])
            try:
                if future.error is None:
                    self.reply(future.result)
                else:  # (not raised: it may belong to somebody else, and would keep these frames)
                    self.reply_error(future.error)
            finally:
                joint.leave(previous)
        except Exception as error:
            self.reply_error(error)

    def reply_error(self, error: BaseException, progress: int = STARTED) -> None:
        agent, message = self.calls.agent, self.message
        data = remote_error.pack(error, agent.session.names[agent.rank], agent.rank)
        agent.post(message[SOURCE], 0, ERROR, message[H0], -1, 0, progress, 0, 0, (), data)


def is_interrupt(error: BaseException) -> bool:
    """Whether it is Ctrl-C for this process; `sys.exit` and the like in user code don't end a worker that serves."""
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
    )
