"""Owner: what users of an RRef have run on the worker that holds its value."""

from typing import Any

from nbgrad.rpc import remote_error, state
from nbgrad.rpc.functions import no_future
from nbgrad.rpc.future import Future
from nbgrad.rpc.request import is_interrupt
from nbgrad.rpc.trust import method, register


def fetch(rref_id: int) -> Future:
    """The value, for `to_here`."""
    return state.agent().rrefs.value(rref_id)


def kind(rref_id: int) -> Future:
    """The value's type, for `RRef._get_type`."""
    return state.agent().rrefs.value(rref_id).then(lambda done: type(done.value()))


def invoke(rref: Any, name: str, args: tuple, kwargs: dict) -> Any:
    """Call a method of the value."""
    found = method(rref.local_value(), name)
    result = found(*args, **kwargs)
    if not hasattr(found, "_wrapped_async_rpc_function"):
        return Future.finished_with(result)
    if isinstance(result, Future):
        return result
    raise no_future(found, result)


def create(rref_id: int, function: Any, args: tuple, kwargs: dict | None) -> Future:
    """Make the value of an RRef, for `rpc.remote`; the reply comes when it is there."""
    value = state.agent().rrefs.value(rref_id)
    confirmed = Future(agent=value.agent)
    value.add_done_callback(lambda done: confirmed.finish(None, done.error))
    try:
        result = function(*args, **(kwargs or {}))
        answers_later = hasattr(function, "_wrapped_async_rpc_function")
        if answers_later and not isinstance(result, Future):
            raise no_future(function, result)
    except BaseException as error:
        value.set_exception(kept(error))
        if is_interrupt(error):
            raise
        return confirmed
    if answers_later:
        result.add_done_callback(
            lambda done: value.finish(done.result, None if done.error is None else kept(done.error))
        )
    else:
        value.set_result(result)
    return confirmed


def kept(error: BaseException) -> BaseException:
    """An error for the table of values: without the frames that it has passed, which may hold this very reference."""
    agent = state.agent()
    data = remote_error.pack(error, agent.session.names[agent.rank], agent.rank)
    return remote_error.unpack(data, "the creation of an RRef")


remote_functions: list[Any] = [fetch, kind, create, invoke]
for function in remote_functions:
    register(function)._wrapped_async_rpc_function = function
